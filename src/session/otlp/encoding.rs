//! How a request of spans is written for a collector, and how its answer is read:
//! protobuf, which every receiver of OTLP over HTTP takes, or JSON, which some take.

use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use prost::Message as _;
use serde_json::Value;

/// A protocol of OTLP over HTTP, by OpenTelemetry's own name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Encoding {
    /// `http/protobuf`, as OpenTelemetry's exporters do unless told otherwise.
    #[default]
    Protobuf,
    /// `http/json`.
    Json,
}

impl Encoding {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Protobuf, Self::Json];

    /// Its name in OpenTelemetry.
    pub fn name(self) -> &'static str {
        match self {
            Self::Protobuf => "http/protobuf",
            Self::Json => "http/json",
        }
    }

    /// The one with this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.name() == name)
    }

    /// The one that is not this one.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::Protobuf => Self::Json,
            Self::Json => Self::Protobuf,
        }
    }

    /// Its `Content-Type`.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Protobuf => "application/x-protobuf",
            Self::Json => "application/json",
        }
    }

    /// A request as the collector takes it.
    ///
    /// # Errors
    /// The part of the request that is not as OTLP has it.
    pub fn encode(self, request: Value) -> Result<Vec<u8>, String> {
        match self {
            Self::Json => Ok(request.to_string().into_bytes()),
            Self::Protobuf => serde_json::from_value::<ExportTraceServiceRequest>(request)
                .map(|request| request.encode_to_vec())
                .map_err(|error| error.to_string()),
        }
    }

    /// How many spans the collector says it did not want. An answer that cannot be
    /// read says none.
    pub fn rejected(self, answer: &[u8]) -> u64 {
        match self {
            Self::Protobuf => ExportTraceServiceResponse::decode(answer)
                .ok()
                .and_then(|answer| u64::try_from(answer.partial_success?.rejected_spans).ok())
                .unwrap_or(0),
            // 64-bit numbers are strings in OTLP, but not every collector knows.
            Self::Json => serde_json::from_slice::<Value>(answer)
                .ok()
                .and_then(
                    |answer| match answer.pointer("/partialSuccess/rejectedSpans")? {
                        Value::String(number) => number.parse().ok(),
                        number => number.as_u64(),
                    },
                )
                .unwrap_or(0),
        }
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTracePartialSuccess;
    use serde_json::json;

    use super::*;

    #[test]
    fn both_say_the_same() {
        let span = json!({
            "traceId": "0af7651916cd43dd8448eb211c80319c", "spanId": "b7ad6b7169203331",
            "name": "n", "kind": 3, "startTimeUnixNano": "1700000000000000001",
            "endTimeUnixNano": "1700000000000000002", "status": {"code": 2, "message": "bad"},
            "attributes": [
                {"key": "a", "value": {"intValue": "9007199254740993"}},
                {"key": "b", "value": {"doubleValue": 0.25}},
                {"key": "c", "value": {"stringValue": "\u{1f642}"}},
            ],
        });
        let request = json!({"resourceSpans": [{
            "resource": {"attributes": []},
            "scopeSpans": [{"scope": {"name": "s", "version": "1"}, "spans": [span]}],
        }]});
        let json = Encoding::Json.encode(request.clone()).unwrap();
        assert_eq!(serde_json::from_slice::<Value>(&json).unwrap(), request);
        let bytes = Encoding::Protobuf.encode(request).unwrap();
        let read = ExportTraceServiceRequest::decode(&*bytes).unwrap();
        let span = &read.resource_spans[0].scope_spans[0].spans[0];
        assert_eq!(
            span.span_id,
            [0xb7, 0xad, 0x6b, 0x71, 0x69, 0x20, 0x33, 0x31]
        );
        assert_eq!(span.start_time_unix_nano, 1_700_000_000_000_000_001);
        assert_eq!(span.status.as_ref().unwrap().code, 2);
        let values = format!("{:?}", span.attributes);
        for part in [
            "IntValue(9007199254740993)",
            "DoubleValue(0.25)",
            "\u{1f642}",
        ] {
            assert!(values.contains(part), "{values}");
        }
        assert!(
            Encoding::Protobuf
                .encode(json!({"resourceSpans": 1}))
                .is_err()
        );
    }

    #[test]
    fn an_answer_tells_what_was_not_wanted() {
        let answer = ExportTraceServiceResponse {
            partial_success: Some(ExportTracePartialSuccess {
                rejected_spans: 3,
                error_message: "no".into(),
            }),
        };
        assert_eq!(Encoding::Protobuf.rejected(&answer.encode_to_vec()), 3);
        let json = br#"{"partialSuccess": {"rejectedSpans": "3"}}"#;
        assert_eq!(Encoding::Json.rejected(json), 3);
        for other in [&b""[..], b"{}", b"\xff\xff", b"<html>"] {
            assert_eq!(Encoding::Protobuf.rejected(other), 0);
            assert_eq!(Encoding::Json.rejected(other), 0);
        }
    }
}
