//! A request's body: its bytes are reserved before it is read, and it has to arrive in time.
//!
//! Time is earned by bytes: after a grace period a body must have averaged a least rate, so
//! that a drip is cut off at the end of the grace while an honest slow upload is not.

use std::sync::Arc;
use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use actix_web::web::{Payload, block};
use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use crate::config::{Config, Limits};
use crate::error::ApiError;
use crate::state::AppState;
use crate::wire::weight::weigh;

/// Bytes that all bodies under way may take together; or what is parsed of them.
#[derive(Debug, Clone)]
pub(crate) struct BodyBudget {
    blocks: Arc<Semaphore>,
    total: u64,
}

/// A body that was read, with its reservation: the bytes count until it is dropped.
#[derive(Debug)]
pub(crate) struct Body {
    /// The bytes.
    pub(crate) bytes: Bytes,
    reservation: Reservation,
}

/// Bytes that were reserved.
#[derive(Debug, Default)]
pub(crate) struct Reservation {
    permit: Option<OwnedSemaphorePermit>,
    bytes: u64,
}

/// Bytes are counted in blocks, so that budgets of any size fit a semaphore.
const BLOCK: u64 = 4096;

/// What a body of unknown length reserves at a time.
const STEP: u64 = 256 << 10;

// === impl BodyBudget ===

impl BodyBudget {
    /// A budget of so many bytes.
    pub(crate) fn new(bytes: u64) -> Self {
        let blocks = usize::try_from(bytes / BLOCK)
            .unwrap_or(usize::MAX)
            .clamp(1, Semaphore::MAX_PERMITS);
        Self {
            blocks: Arc::new(Semaphore::new(blocks)),
            total: blocks as u64 * BLOCK,
        }
    }

    /// Bytes that are free now.
    #[cfg(test)]
    pub(crate) fn free(&self) -> u64 {
        self.blocks.available_permits() as u64 * BLOCK
    }

    /// Takes so many bytes; at once or not at all.
    ///
    /// # Errors
    /// If they are not free now.
    pub(crate) fn take(&self, bytes: u64) -> Result<Reservation, ApiError> {
        let mut reservation = Reservation::default();
        self.grow(&mut reservation, bytes)?;
        Ok(reservation)
    }

    /// Grows a reservation to at least so many bytes; at once or not at all.
    fn grow(&self, reservation: &mut Reservation, bytes: u64) -> Result<(), ApiError> {
        if bytes <= reservation.bytes {
            return Ok(());
        }
        let blocks = (bytes - reservation.bytes).div_ceil(BLOCK);
        let count = u32::try_from(blocks).map_err(|_| ApiError::BodyBudget)?;
        let more = self
            .blocks
            .clone()
            .try_acquire_many_owned(count)
            .map_err(|_| ApiError::BodyBudget)?;
        reservation.bytes += blocks * BLOCK;
        match &mut reservation.permit {
            Some(permit) => permit.merge(more),
            None => reservation.permit = Some(more),
        }
        Ok(())
    }
}

// === impl Body ===

impl Body {
    /// Reserves, then reads, a whole body.
    ///
    /// # Errors
    /// If it is compressed (415), too large (413), too slow (408) or broken (400), or if the
    /// budget is spent (429).
    pub(crate) async fn read(
        request: &HttpRequest,
        payload: &mut Payload,
        config: &Config,
        budget: &BodyBudget,
    ) -> Result<Self, ApiError> {
        refuse_encoding(request)?;
        let declared = declared_length(request)?;
        if declared.is_some_and(|length| length > config.max_body) {
            return Err(ApiError::BodyTooLarge { limit: config.max_body });
        }
        let mut reservation = Reservation::default();
        budget.grow(&mut reservation, declared.unwrap_or(0))?;
        let mut bytes = BytesMut::with_capacity(usize::try_from(declared.unwrap_or(0)).unwrap_or(0));
        let start = Instant::now();
        loop {
            let deadline = start + allowance(config, bytes.len());
            let Ok(next) = tokio::time::timeout_at(deadline, payload.next()).await else {
                return Err(ApiError::BodyTimeout { received: bytes.len() });
            };
            let Some(chunk) = next else { break };
            let chunk = chunk.map_err(|_| ApiError::BodyBroken)?;
            let length = (bytes.len() + chunk.len()) as u64;
            if length > config.max_body {
                return Err(ApiError::BodyTooLarge { limit: config.max_body });
            }
            if length > reservation.bytes {
                budget.grow(&mut reservation, (length + STEP).min(config.max_body))?;
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(Self {
            bytes: bytes.freeze(),
            reservation,
        })
    }

    /// Parses JSON. A long body is parsed on another thread, so that this one goes on serving its connections.
    ///
    /// # Errors
    /// What `parse` says; if the body holds too many values (400), or those under way take all the memory there is
    /// for them (429).
    pub(crate) async fn parse_json<T: Send + 'static>(
        self,
        state: &AppState,
        parse: fn(&[u8], &Limits) -> Result<T, ApiError>,
    ) -> Result<(T, Reservation), ApiError> {
        if self.bytes.len() <= PARSED_AT_ONCE {
            return parse_json(self, &state.parsing, &state.config.limits, parse);
        }
        let (budget, limits) = (state.parsing.clone(), state.config.limits);
        block(move || parse_json(self, &budget, &limits, parse))
            .await
            .map_err(|_| ApiError::Internal("parsing the body failed"))?
    }

    /// The bytes, and their reservation to be held as long as anything made of them.
    pub(crate) fn into_parts(self) -> (Bytes, Reservation) {
        (self.bytes, self.reservation)
    }
}

/// Bodies up to here are parsed where they are read: faster than another thread is reached.
const PARSED_AT_ONCE: usize = 256 << 10;

/// Parses JSON once its memory is reserved. The reservation ends with the parsed values; what was made of them is held
/// under the body's own.
fn parse_json<T>(
    body: Body,
    budget: &BodyBudget,
    limits: &Limits,
    parse: fn(&[u8], &Limits) -> Result<T, ApiError>,
) -> Result<(T, Reservation), ApiError> {
    let weight = weigh(&body.bytes);
    if weight.values > limits.values || weight.bytes > budget.total {
        let message = format!(
            "the body holds too many values: at most {} a request; send fewer inputs",
            limits.values
        );
        return Err(ApiError::malformed(message));
    }
    let mut room = Reservation::default();
    budget.grow(&mut room, weight.bytes)?;
    let parsed = parse(&body.bytes, limits)?;
    Ok((parsed, body.reservation))
}

/// How long a body may have taken once so many bytes of it are here.
fn allowance(config: &Config, received: usize) -> Duration {
    config.body_grace + Duration::from_secs_f64(received as f64 / config.body_rate.max(1) as f64)
}

fn refuse_encoding(request: &HttpRequest) -> Result<(), ApiError> {
    match request.headers().get(CONTENT_ENCODING) {
        None => Ok(()),
        Some(value) if value.as_bytes().eq_ignore_ascii_case(b"identity") => Ok(()),
        Some(_) => Err(ApiError::ContentEncoding),
    }
}

fn declared_length(request: &HttpRequest) -> Result<Option<u64>, ApiError> {
    let Some(value) = request.headers().get(CONTENT_LENGTH) else {
        return Ok(None);
    };
    value
        .to_str()
        .ok()
        .and_then(|text| text.trim().parse().ok())
        .map(Some)
        .ok_or(ApiError::BodyBroken)
}

/// The content type if the body is a form; everything else is read as JSON, since many
/// clients send none or a wrong one.
pub(crate) fn form_content_type(request: &HttpRequest) -> Option<&str> {
    let content_type = request.headers().get(CONTENT_TYPE)?.to_str().ok()?;
    let prefix = content_type.get(.."multipart/".len())?;
    prefix.eq_ignore_ascii_case("multipart/").then_some(content_type)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reservations_are_given_back() {
        let budget = BodyBudget::new(1 << 20);
        let free = budget.free();
        let mut reservation = Reservation::default();
        budget.grow(&mut reservation, 5000).unwrap();
        assert_eq!(free - budget.free(), 8192);
        budget.grow(&mut reservation, 8192).unwrap();
        assert_eq!(free - budget.free(), 8192);
        budget.grow(&mut reservation, 8193).unwrap();
        assert!(budget.grow(&mut Reservation::default(), 1 << 20).is_err());
        drop(reservation);
        assert_eq!(budget.free(), free);
    }

    #[test]
    fn values_are_weighed_before_they_are_parsed() {
        let parse = |json: &str, budget: &BodyBudget, values| {
            let body = Body {
                bytes: Bytes::from(json.to_owned()),
                reservation: Reservation::default(),
            };
            let limits = Limits {
                values,
                ..Limits::default()
            };
            parse_json(body, budget, &limits, |bytes, _| Ok(bytes.len())).map(|(length, _)| length)
        };
        let budget = BodyBudget::new(BLOCK);
        assert_eq!(parse("[1,1]", &budget, 2).unwrap(), 5);
        assert_eq!(budget.free(), BLOCK);
        for (json, values) in [("[1,1,1]", 2), (&"{".repeat(8), 8)] {
            let refused = parse(json, &budget, values).unwrap_err();
            assert!(matches!(refused, ApiError::Malformed { .. }), "{refused}");
        }
        let mut taken = Reservation::default();
        budget.grow(&mut taken, BLOCK).unwrap();
        assert!(matches!(parse("[1,1]", &budget, 2), Err(ApiError::BodyBudget)));
    }

    #[test]
    fn bytes_earn_time() {
        let config = Config {
            body_grace: Duration::from_secs(10),
            body_rate: 1000,
            ..Config::default()
        };
        assert_eq!(allowance(&config, 0), Duration::from_secs(10));
        assert_eq!(allowance(&config, 5000), Duration::from_secs(15));
    }
}
