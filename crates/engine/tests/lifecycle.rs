//! Models that come and go: lazy loading, idle unloading, edits of the registry.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use common::{House, context_within, embed, eventually, within};
use sensorium_engine::{EmbedInput, Error, ModelState, ReloadSummary};

fn model(id: &str, lines: &str) -> String {
    format!("[[model]]\nid = \"{id}\"\nplugin = \"stub\"\ndevice = \"cpu\"\n{lines}\n")
}

fn ids(ids: &[&str]) -> Vec<String> {
    ids.iter().map(|id| (*id).to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lazy_model_is_loaded_once_by_its_first_requests() {
    let house = House::new(&model("lazy", "options = { load_latency = \"300ms\" }")).await;
    assert_eq!(house.state("lazy"), ModelState::Unloaded);
    assert!(house.engine.readiness().ready, "only eager models are waited for");
    assert!(house.engine.model("lazy").unwrap().capabilities.is_none());
    let error = house
        .engine
        .admit("lazy", context_within(Duration::from_millis(20)))
        .await
        .map(|_| ())
        .unwrap_err();
    assert_eq!(error, Error::Deadline, "it goes on loading");
    let rejected = r#"sensorium_requests_rejected_total{reason="deadline"} 1"#;
    assert!(house.metrics.render().unwrap().contains(rejected));
    let results = within(house.embed_each("lazy", (0..20).map(|n| format!("text {n}")))).await;
    assert!(results.iter().all(Result::is_ok));
    assert_eq!(house.metric("sensorium_model_load_seconds_count", "lazy"), 1.0);
    assert!(house.engine.model("lazy").unwrap().capabilities.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_model_is_unloaded_and_comes_back() {
    let house = House::new(&model("brief", "ttl = \"200ms\"")).await;
    for round in 1..=2 {
        house.embed("brief", &["a"]).await.unwrap();
        eventually("it is unloaded", || house.state("brief") == ModelState::Unloaded).await;
        eventually("its process is gone", || house.pids().is_empty()).await;
        assert_eq!(
            house.metric("sensorium_model_load_seconds_count", "brief"),
            f64::from(round)
        );
    }
    let admission = house.engine.admit("brief", common::context()).await.unwrap();
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(house.state("brief"), ModelState::Ready, "not while somebody has a slot");
    admission.embed(vec![EmbedInput::text("a", true)]).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_touches_only_what_has_changed() {
    let first = [
        model("stays", "load = \"eager\""),
        model("changes", "load = \"eager\""),
        model("goes", "load = \"eager\""),
    ];
    let house = House::new(&first.concat()).await;
    for id in ["stays", "changes", "goes"] {
        house.until_ready(id).await;
    }
    let before = house.pids();
    let created = house.engine.model("stays").unwrap().created;
    let second = [
        model("stays", "load = \"eager\"\naliases = [\"still-here\"]"),
        model("changes", "load = \"eager\"\noptions = { width = 32 }"),
        model("comes", "load = \"eager\""),
    ];
    house.write(&second.concat());
    // The file watch may have been faster: then there is nothing left to do.
    let summary = within(house.engine.reload()).await.unwrap();
    let expected = ReloadSummary {
        added: ids(&["comes"]),
        removed: ids(&["goes"]),
        restarted: ids(&["changes"]),
        unchanged: ids(&["stays"]),
        kept: vec![],
    };
    let already = ReloadSummary {
        unchanged: ids(&["stays", "changes", "comes"]),
        ..ReloadSummary::default()
    };
    assert!(summary == expected || summary == already, "{summary:?}");
    assert_eq!(house.embed("changes", &["a"]).await.unwrap()[0].values.len(), 32);
    house.embed("still-here", &["a"]).await.unwrap();
    house.embed("comes", &["a"]).await.unwrap();
    assert!(matches!(
        house.embed("goes", &["a"]).await,
        Err(Error::ModelNotFound { .. })
    ));
    assert_eq!(house.engine.model("stays").unwrap().created, created);
    eventually("three processes run, one of which did before", || {
        let now = house.pids();
        now.len() == 3 && now.iter().filter(|pid| before.contains(pid)).count() == 1
    })
    .await;
    assert_eq!(house.metric("sensorium_model_load_seconds_count", "stays"), 1.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_edit_changes_nothing() {
    let good = model("stub", "load = \"eager\"");
    let house = House::new(&good).await;
    house.until_ready("stub").await;
    let before = house.pids();
    for bad in [
        "[[model",
        "",
        &model("stub", "devise = \"cpu\""),
        &model("stub", "options = { widht = 3 }"),
    ] {
        house.write(bad);
        let error = house.engine.reload().await.unwrap_err();
        assert!(error.to_string().contains("models.toml"), "{error}");
        house.embed("stub", &["a"]).await.unwrap();
    }
    house.write(&good);
    let summary = house.engine.reload().await.unwrap();
    assert_eq!(summary.unchanged, ids(&["stub"]));
    assert_eq!(house.pids(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_cannot_be_loaded_leaves_the_old_one_serving() {
    let house = House::new(&model("stub", "load = \"eager\"")).await;
    house.until_ready("stub").await;
    let before = house.pids();
    house.write(&model(
        "stub",
        "load = \"eager\"\noptions = { width = 32, misbehave_on_load = \"error:model\" }",
    ));
    let summary = within(house.engine.reload()).await.unwrap();
    assert_eq!(
        summary.kept.first().map(|(id, _)| id.as_str()),
        Some("stub"),
        "{summary:?}"
    );
    assert_eq!(house.embed("stub", &["a"]).await.unwrap()[0].values.len(), 64);
    eventually("only the old one runs", || house.pids() == before).await;
    house.write(&model("stub", "load = \"eager\"\noptions = { width = 32 }"));
    within(house.engine.reload()).await.unwrap();
    assert_eq!(house.embed("stub", &["a"]).await.unwrap()[0].values.len(), 32);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_request_fails_while_the_registry_is_swapped_under_load() {
    let house = Arc::new(House::new(&model("stub", "load = \"eager\"")).await);
    house.until_ready("stub").await;
    let over = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..8)
        .map(|client| {
            let (house, over) = (Arc::clone(&house), Arc::clone(&over));
            tokio::spawn(async move {
                let mut done = 0;
                while !over.load(Ordering::Relaxed) {
                    let input = EmbedInput::text(format!("client {client}, request {done}"), true);
                    embed(&house.engine, "stub", vec![input]).await.unwrap();
                    done += 1;
                }
                done
            })
        })
        .collect();
    for round in 0..10 {
        let options = format!("options = {{ width = {} }}\nqueue = {}", 32 + round % 2, 64 + round);
        house.write(&model("stub", &format!("load = \"eager\"\n{options}")));
        within(house.engine.reload()).await.unwrap();
    }
    over.store(true, Ordering::Relaxed);
    for client in clients {
        assert!(within(client).await.unwrap() > 0);
    }
    eventually("one process is left", || house.pids().len() == 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_wait_for_a_model_to_load_move_on_to_its_successor() {
    let house = House::new(&model("stub", "load = \"eager\"\noptions = { load_latency = \"1h\" }")).await;
    let waiting = tokio::spawn({
        let engine = house.engine.clone();
        async move { embed(&engine, "stub", vec![EmbedInput::text("a", true)]).await }
    });
    eventually("it loads", || house.pids().len() == 1).await;
    house.write(&model("stub", "load = \"eager\""));
    within(house.engine.reload()).await.unwrap();
    within(waiting).await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_is_seen_without_being_told() {
    let house = House::new(&model("before", "")).await;
    house.write(&model("after", ""));
    eventually("the edit is seen", || house.engine.model("after").is_some()).await;
    assert!(house.engine.model("before").is_none());
}
