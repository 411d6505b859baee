//! Making a call: its turn, its deadline, and who answers it.
//!
//! Owns what happens between lookup and recording. Does not own routing
//! ([`super::route`]) nor HTTP ([`super::upstream`]).

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;

use super::call::Call;
use super::cassette::Stored;
use super::faults::Effect;
use super::record::Served;
use super::route::{Entry, Target};
use super::sink::Sink;
use super::upstream::Outgoing;
use super::{Failed, Inner, Outcome, Reply, assemble, demo, heavy};
use crate::protocol::message::TransportFailure;
use crate::session::event::{AnswerSource, RunId};

/// Deadline of a call for which neither worker nor profile names one.
const DEADLINE: Duration = Duration::from_mins(10);

impl Inner {
    /// Makes a call and records it.
    pub(super) async fn live(
        &self,
        call: &Call,
        sink: &mut Sink,
    ) -> (Arc<Outcome>, Option<Stored>) {
        let route = self.router.route(call).await;
        let _permit = match &route.entry {
            Some(entry) => Some(entry.limits.enter().await),
            None => None,
        };
        let deadline = deadline(call, route.entry.as_deref());
        let (latency, effect) = self.faults.next();
        if !latency.is_zero() {
            tokio::time::sleep(latency).await;
        }
        let (outcome, source) = match effect {
            Some(effect) => (
                self.fault(effect, call, route.target, deadline, sink).await,
                AnswerSource::Fault,
            ),
            None => self.send(call, route.target, deadline, sink).await,
        };
        let good = outcome.as_ref().is_ok_and(|reply| reply.status < 300);
        let occurrence = if good && !call.request.cache {
            self.cassette.count(&call.key)
        } else {
            0
        };
        self.finish(
            call,
            Served {
                outcome,
                source,
                occurrence,
                profile: route
                    .entry
                    .map(|entry| entry.profile.name.clone())
                    .unwrap_or_default(),
                stored: None,
            },
        )
    }

    /// Hands a call to the one who answers it.
    async fn send(
        &self,
        call: &Call,
        target: Target,
        deadline: Duration,
        sink: &mut Sink,
    ) -> (Outcome, AnswerSource) {
        match target {
            Target::Refused(status, sentence) => {
                (Ok(error_reply(status, &sentence)), AnswerSource::Server)
            }
            Target::Demo => (self.demo(call, sink).await, AnswerSource::Demo),
            Target::Server(outgoing) => {
                let outcome = if let Some(run) = self.watchers.wants(call)
                    && let Some((body, assembler)) = assemble::streamed(&outgoing)
                {
                    let span = call.request.span.clone();
                    let sink = Sink::watched(assembler, self.watchers.sender(), run, span);
                    self.watched(call, outgoing, body, sink, deadline).await
                } else {
                    let streamed = call.request.stream;
                    self.upstream.send(outgoing, deadline, streamed, sink).await
                };
                (outcome, AnswerSource::Server)
            }
        }
    }

    /// Asks for a stream, shows it, and answers as to a plain request. A server that
    /// refuses to stream is asked plainly, then and later.
    async fn watched(
        &self,
        call: &Call,
        plain: Outgoing,
        body: Bytes,
        mut sink: Sink,
        deadline: Duration,
    ) -> Outcome {
        let asking = Outgoing {
            body,
            ..plain.clone()
        };
        let mut reply = self
            .upstream
            .send(asking, deadline, true, &mut sink)
            .await?;
        if matches!(reply.status, 400 | 422) {
            let mut whole = Sink::whole();
            let answer = self
                .upstream
                .send(plain, deadline, false, &mut whole)
                .await?;
            if answer.status < 300 {
                self.watchers.give_up(call.host());
            }
            return Ok(answer);
        }
        let Some(assembler) = sink.assembler() else {
            return Ok(reply);
        };
        match assembler.finish() {
            Ok(answer) => {
                reply.headers.retain(|(name, _)| {
                    !["content-type", "transfer-encoding", "content-length"]
                        .contains(&name.as_str())
                });
                let json = ("content-type".to_owned(), "application/json".to_owned());
                reply.headers.push(json);
                reply.body = answer.to_string().into();
                Ok(reply)
            }
            Err(message) => Err(Failed {
                failure: TransportFailure::Read,
                message,
                partial: reply,
            }),
        }
    }

    async fn demo(&self, call: &Call, sink: &mut Sink) -> Outcome {
        let request = demo::DemoRequest {
            url: call.url.as_str(),
            headers: &call.request.headers,
            body: &call.body,
            rollout_id: call.request.rollout_id,
        };
        if call.json.get("stream").and_then(Value::as_bool) != Some(true)
            && !call.url.path().ends_with(":streamGenerateContent")
        {
            let response = heavy::on_body(call.body.len(), || demo::respond(&request));
            if let Some(run) = self.watchers.wants(call) {
                self.show_demo(call, run).await?;
            }
            return Ok(Reply {
                status: response.status,
                headers: response.headers,
                body: response.body.into(),
            });
        }
        let (status, headers, pieces) = heavy::on_body(call.body.len(), || demo::stream(&request));
        let mut body = Vec::new();
        for piece in pieces {
            body.extend_from_slice(&piece);
            sink.push(status, &headers, &Bytes::from(piece)).await?;
        }
        Ok(Reply {
            status,
            headers,
            body: body.into(),
        })
    }

    /// Shows a demo answer to whoever watches, piece by piece, as a server's is shown.
    async fn show_demo(&self, call: &Call, run: RunId) -> Result<(), Failed> {
        let plain = Outgoing {
            method: call.request.method.clone(),
            url: call.url.clone(),
            headers: Vec::new(),
            body: call.body.clone(),
        };
        let Some((body, assembler)) = assemble::streamed(&plain) else {
            return Ok(());
        };
        let request = demo::DemoRequest {
            url: call.url.as_str(),
            headers: &call.request.headers,
            body: &body,
            rollout_id: call.request.rollout_id,
        };
        let (status, headers, pieces) = heavy::on_body(call.body.len(), || demo::stream(&request));
        let span = call.request.span.clone();
        let mut sink = Sink::watched(assembler, self.watchers.sender(), run, span);
        for piece in pieces {
            sink.push(status, &headers, &Bytes::from(piece)).await?;
        }
        Ok(())
    }

    /// Carries an injected fault out.
    async fn fault(
        &self,
        effect: Effect,
        call: &Call,
        target: Target,
        deadline: Duration,
        sink: &mut Sink,
    ) -> Outcome {
        match effect {
            Effect::Latency(more) => {
                tokio::time::sleep(more).await;
                self.send(call, target, deadline, sink).await.0
            }
            Effect::Status(status) => {
                let mut reply = error_reply(status, &format!("injected fault: status {status}"));
                if status == 429 {
                    reply
                        .headers
                        .push(("retry-after".to_owned(), "1".to_owned()));
                }
                Ok(reply)
            }
            Effect::InvalidJson => Ok(Reply {
                status: 200,
                headers: vec![("content-type".to_owned(), "application/json".to_owned())],
                body: Bytes::from_static(b"{\"injected fault\": not JSON"),
            }),
            Effect::Refuse => Err(Failed::new(
                TransportFailure::Connect,
                "injected fault: connection refused",
            )),
            Effect::SlowLoris => {
                tokio::time::sleep(deadline).await;
                Err(Failed::new(
                    TransportFailure::Timeout,
                    format!(
                        "injected fault: no answer within {} s",
                        deadline.as_secs_f64()
                    ),
                ))
            }
            Effect::Truncate => {
                let mut unseen = Sink::whole();
                let mut reply = self.send(call, target, deadline, &mut unseen).await.0?;
                reply.body.truncate(reply.body.len() / 2);
                sink.push(reply.status, &reply.headers, &reply.body).await?;
                Err(Failed {
                    failure: TransportFailure::Read,
                    message: "injected fault: the connection broke in the middle of the answer"
                        .to_owned(),
                    partial: reply,
                })
            }
        }
    }
}

/// The deadline of a call: the worker's, else the profile's, else 600 s.
fn deadline(call: &Call, entry: Option<&Entry>) -> Duration {
    call.request
        .timeout
        .or_else(|| entry?.profile.timeout)
        .filter(|seconds| *seconds > 0.0)
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .unwrap_or(DEADLINE)
}

/// An answer of the gateway's own, in the shape every provider's client reads.
fn error_reply(status: u16, sentence: &str) -> Reply {
    let body = serde_json::json!({
        "type": "error",
        "error": {"type": "gateway", "code": status, "message": sentence},
    });
    Reply {
        status,
        headers: vec![("content-type".to_owned(), "application/json".to_owned())],
        body: body.to_string().into(),
    }
}
