//! Servers that are there and say nothing, and servers that are not there.

use tokio::net::{TcpSocket, TcpStream};

use super::*;

/// An address where connections are never completed: its queue of them is full.
struct BlackHole {
    port: u16,
    _open: Vec<TcpStream>,
    _listener: tokio::net::TcpListener,
}

impl BlackHole {
    async fn new() -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener = socket.listen(0).unwrap();
        let address = listener.local_addr().unwrap();
        let mut open = Vec::new();
        // The first that is not taken in shows that the queue is full.
        while let Ok(connected) =
            tokio::time::timeout(Duration::from_millis(200), TcpStream::connect(address)).await
        {
            open.push(connected.unwrap());
            assert!(open.len() < 64, "the queue is never full");
        }
        Self {
            port: address.port(),
            _open: open,
            _listener: listener,
        }
    }
}

/// Calls a base URL with a deadline of 0.3 s; how it fails.
async fn call(bench: &Bench, base: &str) -> (TransportFailure, String) {
    let request = LmRequest {
        timeout: Some(0.3),
        cache: false,
        ..chat(base, "is anybody there?")
    };
    failure(&bench.gateway.call(request).await)
}

/// R104: a server that takes no connection costs the deadline, one that takes it and
/// says nothing too, and one at an address that leads nowhere no more than that.
#[tokio::test]
async fn r104_no_address_holds_a_call_longer_than_its_deadline() {
    let mut bench = Bench::new(GatewayOptions::default());
    let hole = BlackHole::new().await;
    let deaf = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    for port in [hole.port, deaf.local_addr().unwrap().port()] {
        let (why, message) = call(&bench, &format!("http://127.0.0.1:{port}/v1")).await;
        assert_eq!(why, TransportFailure::Timeout, "{message}");
        assert_eq!(message, "no answer within 0.3 s");
    }
    // A network may know at once that there is no way to it.
    let (why, message) = call(&bench, "http://192.0.2.1:9/v1").await;
    assert!(
        matches!(why, TransportFailure::Timeout | TransportFailure::Connect),
        "{why:?}: {message}"
    );
    assert_eq!(bench.exchanges().len(), 3, "each is on record");
}
