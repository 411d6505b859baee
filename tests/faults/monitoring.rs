//! Health as monitoring asks for it: by `exec`, and over loopback.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::*;

/// Status and body of a GET.
fn get(address: SocketAddr, path: &str, host: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, body.to_owned())
}

/// R92: `exec health` answers from another process, and so does the endpoint, where one is
/// asked for; a kernel that is stopped is unhealthy in both, and well again afterwards.
#[test]
fn r92_health_is_told_to_whoever_monitors() {
    let home = Home::new();
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    let here = address.to_string();
    let mut holder = Exec::start(
        &home,
        &["--new", "well", "--workers", "1", "--monitor", &here],
    );
    holder.done("configure_lm", json!({"provider": "demo"}));
    holder.done("generate", json!({"prompt": "What is 2+2?"}));
    let kernel = holder.kernel_pid();

    let told = home.dspex(&["exec", "health", "--json", "--session", "well"]);
    let told = told.json()["result"].clone();
    assert_eq!(told["ok"], true, "{told}");
    assert_eq!(told["workers"][0]["pid"], kernel);
    assert_eq!(told["pools"][0]["idle"], 1);
    let (status, body) = get(address, "/health", &here);
    let served: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((status, &served["ok"]), (200, &json!(true)), "{body}");
    assert_eq!(served["workers"][0]["pid"], kernel);
    let (status, body) = get(address, "/metrics", &here);
    assert_eq!(status, 200);
    for line in [
        "dspex_up 1",
        "dspex_pool_idle{pool=\"pool\"} 1",
        "dspex_lm_calls_total 1",
    ] {
        assert!(body.lines().any(|it| it == line), "no {line} in\n{body}");
    }
    assert_eq!(get(address, "/health", "evil.example").0, 403);
    assert_eq!(get(address, "/", &here).0, 404);

    kill(Pid::from_raw(kernel), Signal::SIGSTOP).unwrap();
    let mut body = String::new();
    let unwell = comes_true(PATIENCE, || {
        let (status, served) = get(address, "/health", &here);
        body = served;
        status == 503
    });
    assert!(
        unwell && body.contains("(kernel) does not answer"),
        "{body}"
    );
    assert!(
        get(address, "/metrics", &here)
            .1
            .starts_with("# HELP dspex_up")
    );
    kill(Pid::from_raw(kernel), Signal::SIGCONT).unwrap();
    let well = comes_true(PATIENCE, || get(address, "/health", &here).0 == 200);
    assert!(well, "{:?}", get(address, "/health", &here));
    holder.close();
    assert!(
        TcpStream::connect(address).is_err(),
        "it closes with the workbench"
    );
}

/// R92: it is served to this machine only.
#[test]
fn r92_nobody_else_is_told() {
    let home = Home::new();
    let exec = Exec::start(&home, &["--monitor", "0.0.0.0:0"]);
    let (code, said) = exec.close();
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains("not_loopback") && said.contains("127.0.0.1"),
        "{said}"
    );
}
