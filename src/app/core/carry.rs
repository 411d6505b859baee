//! Carrying effects out: the only place where the core does something.
//!
//! Owns no decision: what is to be done was decided by [`super::super::update()`].

use std::path::Path;
use std::time::Instant;

use serde_json::json;

use super::{Backing, Core, root};
use crate::app::effect::Effect;
use crate::app::state::Message;
use crate::app::{OperationResult, audit, health, telemetry};
use crate::cache;
use crate::protocol::error::OperationError;
use crate::protocol::message::Request;
use crate::session::event::Document;
use crate::session::journal::Journal;
use crate::session::reader::SessionReader;
use crate::session::{catalog, compare as session_compare};
use crate::worker::shutting_down;

impl Core {
    pub(super) fn carry_out(&mut self, effect: Effect) {
        let Backing::Owner(owner) = &mut self.backing else {
            return;
        };
        match effect {
            Effect::Append(scope, body) => {
                owner.journal.append(scope, *body);
            }
            Effect::Ask {
                ticket,
                request,
                lm,
                pool,
            } => {
                let request = Request {
                    lm: lm.and_then(|lm| owner.gateway.lm_spec(&lm)),
                    ..*request
                };
                owner.requests.ask(ticket, request, pool);
            }
            Effect::Reply(reply, result) => {
                let _ = reply.send(owner.gateway.hide_in_answer(result));
            }
            Effect::SyncProfiles => self.sync(),
            Effect::Adopt(program) => owner.requests.adopt(&program),
            Effect::Interrupt(cell) => owner.requests.interrupt(cell),
            Effect::Cancel(run) => {
                owner.gateway.cancel_run(run);
                owner.requests.cancel(run);
            }
            Effect::Hold(run, held) => owner.gateway.hold_run(run, held),
            Effect::ReplyInput(text) => owner.requests.reply_input(text),
            Effect::AnswerApproval(reply, allow, reason) => reply.answer(allow, reason),
            Effect::WatchApproval(id, withdrawn) => {
                let tx = self.tx.clone();
                tokio::spawn(async move {
                    withdrawn.cancelled().await;
                    let _ = tx.send(Message::ApprovalWithdrawn(id));
                });
            }
            Effect::RestartKernel(reply) => {
                owner.requests.restart_kernel(reply);
            }
            Effect::ReadDocument(document, reply) => {
                let journal = owner.journal.clone();
                tokio::task::spawn_blocking(move || {
                    let _ = reply.send(read_document(&journal, &document));
                });
            }
            Effect::ListSessions(reply) => {
                let root = root(&self.options);
                tokio::task::spawn_blocking(move || {
                    let sessions = root.and_then(|root| Ok(catalog::list(&root)?));
                    let _ = reply.send(sessions.map(|sessions| json!({"sessions": sessions})));
                });
            }
            Effect::CompareSessions(wanted, reply) => {
                let root = root(&self.options);
                tokio::task::spawn_blocking(move || {
                    let _ = reply.send(root.and_then(|root| compare(&root, &wanted)));
                });
            }
            Effect::FindLms(ports, reply) => {
                let gateway = owner.gateway.clone();
                tokio::spawn(async move {
                    let servers = gateway.find_local(&ports).await;
                    let _ = reply.send(Ok(json!({"servers": servers})));
                });
            }
            Effect::ListModels(profile, reply) => {
                let gateway = owner.gateway.clone();
                tokio::spawn(async move {
                    let offered = gateway.list_models(&profile).await;
                    let answer = offered.map(|offered| json!(offered));
                    let _ = reply.send(gateway.hide_in_answer(answer));
                });
            }
            Effect::Health(health, reply) => {
                let supervisor = owner.requests.running();
                tokio::spawn(async move {
                    let _ = reply.send(Ok(health::complete(health, supervisor).await));
                });
            }
            Effect::RestartPools(reply) => {
                if let Some(supervisor) = owner.requests.running() {
                    supervisor.restart_pools();
                }
                let _ = reply.send(Ok(json!({})));
            }
            Effect::Command {
                cell,
                operation,
                arguments,
                reply,
            } => {
                let answer = self.handle().submit(&operation, arguments);
                let tx = self.tx.clone();
                let begun = Instant::now();
                tokio::spawn(async move {
                    let result = answer.await.unwrap_or_else(|_| Err(shutting_down()));
                    let _ = tx.send(Message::CommandDone {
                        cell,
                        operation,
                        result,
                        duration_ms: begun.elapsed().as_secs_f64() * 1e3,
                        reply,
                    });
                });
            }
            Effect::Audit(run, fact) => {
                let fact = audit::without_keys(*fact, |value| owner.gateway.hide_in_answer(value));
                let written = audit::write(root(&self.options), &self.state.session_id, run, fact);
                let _ = written.map(|note| self.append(note));
            }
            Effect::ReadAudit(arguments, reply) => {
                let _ = reply.send(audit::read(root(&self.options), &arguments));
            }
            Effect::Cache { clear, reply } => {
                let (places, optimised) = (owner.requests.places(), owner.requests.optimised());
                let most = self.options.cache_mb * cache::MB;
                tokio::task::spawn_blocking(move || {
                    let answer = if clear {
                        let forgotten = optimised.clear();
                        json!({"removed": cache::clear(&places), "optimisations": forgotten})
                    } else {
                        let parts = cache::parts(&places);
                        let counted = parts.iter().filter(|part| part.cleared);
                        let bytes: u64 = counted.map(|part| part.bytes).sum();
                        json!({"parts": parts, "bytes": bytes, "quota_bytes": most,
                            "optimisations": optimised.stats()})
                    };
                    let _ = reply.send(Ok(answer));
                });
            }
            Effect::VerifyAudit(reply) => {
                let _ = reply.send(audit::verify(root(&self.options)));
            }
            Effect::ExportOtlp(wanted, reply) => {
                let session = self.state.session.clone();
                let (journal, gateway) = (owner.journal.clone(), owner.gateway.clone());
                let sending = telemetry::export(session, journal, gateway, wanted);
                tokio::spawn(async move { reply.send(sending.await) });
            }
            Effect::Stop(reply) => {
                let _ = reply.send(Ok(json!({})));
            }
        }
    }
}

fn compare(root: &Path, wanted: &[String; 2]) -> OperationResult {
    let read = |wanted: &String| -> Result<_, OperationError> {
        let mut reader = SessionReader::open(&catalog::resolve(root, wanted)?)?;
        Ok((reader.header().id.clone(), reader.final_state()))
    };
    let [(left, a), (right, b)] = [read(&wanted[0])?, read(&wanted[1])?];
    let comparison = session_compare::compare(&a, &b);
    Ok(json!({
        "left": left, "right": right, "rows": comparison.rows, "cells": comparison.cells,
    }))
}

fn read_document(journal: &Journal, document: &Document) -> OperationResult {
    let bytes = journal.read_document(document).ok_or_else(|| {
        OperationError::invalid(
            "unknown_document",
            "this body is not in the session's record",
        )
    })?;
    Ok(json!({"text": String::from_utf8_lossy(&bytes)}))
}
