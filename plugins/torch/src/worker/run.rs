//! The loop that lets all calls advance together.
//!
//! Each turn goes to the call that has waited longest: a pass of the UNet, which others that go with it join as far as one
//! pass has room, or one image decoded. So calls of one size share passes, calls of different sizes take turns step by
//! step, and whoever leaves is gone before the next turn.

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::mpsc::Receiver,
};

use sensorium_contract::{Gone, PluginError};

use super::{
    Call, Defaults,
    active::{Active, Phase},
    translate,
};
use crate::pipeline::{Pipeline, Seeds};

/// Works until nobody can send calls any more and all are done.
pub(super) fn run(pipeline: &Pipeline, defaults: &Defaults, calls: &Receiver<Call>) {
    let (mut active, mut turn): (Vec<Active>, u64) = (Vec::new(), 0);
    loop {
        let call = match active.is_empty() {
            true => match calls.recv() {
                Ok(call) => Some(call),
                Err(_) => return,
            },
            false => calls.try_recv().ok(),
        };
        turn += 1;
        if let Some(call) = call {
            active.extend(begin(pipeline, defaults, call, turn));
        }
        active.retain(|call| !call.reply.is_cancelled());
        turn += 1;
        take_turn(pipeline, &mut active, turn);
        finish(&mut active);
    }
}

/// Reads the prompts and the image of a call; `None` if that is all that comes of it.
fn begin(pipeline: &Pipeline, defaults: &Defaults, call: Call, turn: u64) -> Option<Active> {
    let Call { request, reply } = call;
    if reply.is_cancelled() {
        return None;
    }
    let begun = catch_unwind(AssertUnwindSafe(|| {
        let task = translate::task(&request, pipeline, defaults)?;
        let noise = Box::new(Seeds(request.seeds.clone()));
        pipeline.begin(&task, noise).map_err(translate::refused)
    }));
    reply.tick();
    match begun {
        Ok(Ok(denoising)) => Active::start(reply, denoising, request.previews, turn).ok(),
        Ok(Err(refused)) => {
            reply.refuse(refused);
            None
        }
        Err(panic) => {
            reply.fail(failure(&*panic));
            None
        }
    }
}

/// Gives the call that has waited longest its turn, and those that go with it.
fn take_turn(pipeline: &Pipeline, active: &mut Vec<Active>, turn: u64) {
    let Some(first) = (0..active.len()).min_by_key(|at| active[*at].turn) else {
        return;
    };
    let members = match active[first].phase {
        Phase::Denoise => companions(pipeline, active, first),
        Phase::Preview(_) | Phase::Decode(_) | Phase::Done => vec![first],
    };
    let worked = catch_unwind(AssertUnwindSafe(|| work(pipeline, active, &members)));
    let gone = match worked {
        Ok(gone) => gone,
        Err(panic) => {
            let error = failure(&*panic);
            // Highest first, so that the others stay where they are.
            let mut members = members;
            members.sort_unstable();
            for at in members.into_iter().rev() {
                active.swap_remove(at).reply.fail(error.clone());
            }
            return;
        }
    };
    for at in members {
        active[at].turn = turn;
    }
    let mut gone = gone;
    gone.sort_unstable();
    for at in gone.into_iter().rev() {
        active.swap_remove(at);
    }
}

/// The calls that share a pass with the one at `first`, as many as one pass has room for, longest waiting first.
fn companions(pipeline: &Pipeline, active: &[Active], first: usize) -> Vec<usize> {
    let mut others: Vec<usize> = (0..active.len())
        .filter(|at| *at != first && active[*at].phase == Phase::Denoise)
        .filter(|at| active[*at].denoising.goes_with(&active[first].denoising))
        .collect();
    others.sort_by_key(|at| active[*at].turn);
    let (mut members, mut images) = (vec![first], active[first].denoising.images());
    for at in others {
        let more = active[at].denoising.images();
        if images + more <= pipeline.images_per_pass() {
            images += more;
            members.push(at);
        }
    }
    members
}

/// One turn for these calls. Answers which of them nobody waits for any more.
fn work(pipeline: &Pipeline, active: &mut [Active], members: &[usize]) -> Vec<usize> {
    let is_gone = |result: Result<(), Gone>| result.is_err();
    if let &[only] = members
        && active[only].phase != Phase::Denoise
    {
        let gone = is_gone(active[only].decode(pipeline));
        return if gone { vec![only] } else { Vec::new() };
    }
    let (mut replies, mut tasks) = (Vec::new(), Vec::new());
    for (_, call) in active.iter_mut().enumerate().filter(|(at, _)| members.contains(at)) {
        replies.push(&call.reply);
        tasks.push(&mut call.denoising);
    }
    pipeline.advance(&mut tasks, &|| replies.iter().for_each(|reply| reply.tick()));
    members
        .iter()
        .copied()
        .filter(|at| is_gone(active[*at].advanced()))
        .collect()
}

/// Ends the replies that are whole.
fn finish(active: &mut Vec<Active>) {
    while let Some(at) = active.iter().position(|call| call.phase == Phase::Done) {
        active.swap_remove(at).reply.finish();
    }
}

/// What libtorch threw. The rest of its message is a stack of C++ that helps nobody here.
fn failure(panic: &(dyn Any + Send)) -> PluginError {
    let text = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("unknown");
    tracing::error!(error = text, "the computation failed");
    let line = text.lines().next().unwrap_or_default();
    PluginError::instance(format!("the computation failed: {line}"))
}
