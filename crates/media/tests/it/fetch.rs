//! Fetching against servers that redirect inside, drip, lie, flood and compress.

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::support::{Behaviour, Log, Server, converse, eventually, ok, redirect, with_headers};
use futures::future::BoxFuture;
use sensorium_media::{FetchConfig, FetchFailure, Fetcher, MediaError, Resolve, Source};
use tokio::net::TcpListener;

async fn fetch(fetcher: &Fetcher, url: &str) -> Result<Vec<u8>, MediaError> {
    match Source::parse(url)? {
        Source::Url(url) => fetcher.fetch(&url).await.map(|fetched| fetched.bytes.to_vec()),
        other => panic!("{other:?} is no URL"),
    }
}

fn failed(failure: FetchFailure) -> Result<Vec<u8>, MediaError> {
    Err(MediaError::FetchFailed(failure))
}

/// Answers from a list, one look-up after another; the last one for ever.
struct Scripted {
    answers: Vec<&'static [&'static str]>,
    asked: AtomicUsize,
}

impl Scripted {
    fn new(answers: &[&'static [&'static str]]) -> Arc<Self> {
        Arc::new(Self {
            answers: answers.to_vec(),
            asked: AtomicUsize::new(0),
        })
    }
}

impl Resolve for Scripted {
    fn resolve<'a>(&'a self, _host: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>> {
        let at = self.asked.fetch_add(1, Ordering::SeqCst).min(self.answers.len() - 1);
        let answer = self.answers[at]
            .iter()
            .map(|address| address.parse().unwrap())
            .collect();
        Box::pin(async move { Ok(answer) })
    }
}

#[tokio::test]
async fn a_file_is_fetched_and_nothing_of_ours_is_told() {
    let server = Server::start([("/a.png?q=1", ok(b"bytes"))]).await;
    let fetcher = Fetcher::new(server.config());
    assert_eq!(
        fetch(&fetcher, &server.url("/a.png?q=1#part")).await,
        Ok(b"bytes".to_vec())
    );
    let head = server.log.requests.lock().unwrap()[0].to_ascii_lowercase();
    assert!(head.starts_with("get /a.png?q=1 http/1.1\r\n"), "{head}");
    assert!(head.contains(&format!("\r\nhost: {}\r\n", server.address)), "{head}");
    for absent in [
        "accept-encoding",
        "cookie",
        "referer",
        "authorization",
        "via",
        "forwarded",
    ] {
        assert!(!head.contains(absent), "{absent} in {head}");
    }
}

#[tokio::test]
async fn the_inside_is_blocked_without_an_exception() {
    let server = Server::start([("/", ok(b"secret"))]).await;
    for config in [
        FetchConfig::default(),
        FetchConfig {
            allow: vec!["127.0.0.1".parse().unwrap()],
            ..Default::default()
        },
    ] {
        let fetcher = Fetcher::new(config);
        let port = server.address.port();
        for host in [
            "127.0.0.1",
            "localhost",
            "2130706433",
            "0x7f.1",
            "[::ffff:127.0.0.1]",
            "0",
        ] {
            let got = fetch(&fetcher, &format!("http://{host}:{port}/")).await;
            assert_eq!(got, Err(MediaError::UrlBlocked), "{host}");
        }
    }
    assert_eq!(server.accepted(), 0);
}

#[tokio::test]
async fn redirects_are_judged_from_scratch() {
    let inside = Server::start([("/", ok(b"secret"))]).await;
    let port = inside.address.port();
    let locations = [
        format!("http://127.0.0.1:{port}/"),
        format!("//127.0.0.1:{port}/"),
        format!("http://localhost:{port}/"),
        format!("http://[::ffff:127.0.0.1]:{port}/"),
        format!("http:\\\\127.0.0.1:{port}/"),
        format!("/\\127.0.0.1:{port}/"),
        "http://169.254.169.254/latest/meta-data/".to_owned(),
        "http://[64:ff9b::a9fe:a9fe]/".to_owned(),
        "http://user@93.184.216.34/".to_owned(),
        "file:///etc/passwd".to_owned(),
        "data:image/png;base64,AAAA".to_owned(),
        "gopher://127.0.0.1/".to_owned(),
    ];
    for location in locations {
        let server = Server::start([("/", redirect(&location))]).await;
        let got = fetch(&Fetcher::new(server.config()), &server.url("/")).await;
        assert_eq!(got, Err(MediaError::UrlBlocked), "{location}");
        assert_eq!(server.accepted(), 1);
    }
    assert_eq!(inside.accepted(), 0);
}

#[tokio::test]
async fn three_redirects_are_followed_and_no_more() {
    let hops = [
        ("/4", redirect("/3")),
        ("/3", redirect("2")),
        ("/2", redirect("./1?x")),
        ("/1?x", redirect("/0")),
    ];
    let server = Server::start(
        hops.into_iter()
            .chain([("/0", ok(b"end")), ("/loop", redirect("/loop"))]),
    )
    .await;
    let fetcher = Fetcher::new(server.config());
    assert_eq!(fetch(&fetcher, &server.url("/3")).await, Ok(b"end".to_vec()));
    assert_eq!(fetch(&fetcher, &server.url("/4")).await, failed(FetchFailure::Redirect));
    let before = server.accepted();
    assert_eq!(
        fetch(&fetcher, &server.url("/loop")).await,
        failed(FetchFailure::Redirect)
    );
    assert_eq!(server.accepted() - before, 4);
}

#[tokio::test]
async fn replies_that_are_no_file_fail() {
    let status = |line: &str| Behaviour::Say(format!("HTTP/1.1 {line}\r\nContent-Length: 1\r\n\r\nx").into_bytes());
    let server = Server::start([
        ("/500", status("500 Oops")),
        ("/206", status("206 Partial Content")),
        ("/empty", ok(b"")),
        ("/short", with_headers("Content-Length: 100\r\n", b"only this")),
        (
            "/gzip",
            with_headers("Content-Encoding: gzip\r\nContent-Length: 1\r\n", b"x"),
        ),
        (
            "/twice",
            with_headers(
                "Content-Encoding: identity\r\nContent-Encoding: br\r\nContent-Length: 1\r\n",
                b"x",
            ),
        ),
        (
            "/identity",
            with_headers("Content-Encoding: identity\r\nContent-Length: 1\r\n", b"x"),
        ),
        ("/longer", with_headers("Content-Length: 3\r\n", b"three and more")),
        (
            "/chunked",
            with_headers("Transfer-Encoding: chunked\r\n", b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"),
        ),
        (
            "/cut-chunk",
            with_headers("Transfer-Encoding: chunked\r\n", b"3\r\nabc\r\n5\r\nde"),
        ),
        ("/nonsense", Behaviour::Say(b"SSH-2.0-OpenSSH_9.9\r\n\r\n".to_vec())),
        (
            "/no-location",
            Behaviour::Say(b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n".to_vec()),
        ),
        (
            "/long-head",
            with_headers(&format!("X: {}\r\n", "x".repeat(200_000)), b"x"),
        ),
    ])
    .await;
    let fetcher = Fetcher::new(server.config());
    let rows = [
        ("/500", failed(FetchFailure::Status(500))),
        ("/206", failed(FetchFailure::Status(206))),
        ("/missing", failed(FetchFailure::Status(404))),
        ("/empty", failed(FetchFailure::Empty)),
        ("/short", failed(FetchFailure::BrokenReply)),
        ("/gzip", failed(FetchFailure::Compressed)),
        ("/twice", failed(FetchFailure::Compressed)),
        ("/identity", Ok(b"x".to_vec())),
        ("/longer", Ok(b"thr".to_vec())),
        ("/chunked", Ok(b"abcde".to_vec())),
        ("/cut-chunk", failed(FetchFailure::BrokenReply)),
        ("/nonsense", failed(FetchFailure::BrokenReply)),
        ("/no-location", failed(FetchFailure::Redirect)),
        ("/long-head", failed(FetchFailure::BrokenReply)),
    ];
    for (path, want) in rows {
        assert_eq!(fetch(&fetcher, &server.url(path)).await, want, "{path}");
    }
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let fetcher = Fetcher::new(FetchConfig {
        allow: vec![closed.to_string().parse().unwrap()],
        ..Default::default()
    });
    assert_eq!(
        fetch(&fetcher, &format!("http://{closed}/")).await,
        failed(FetchFailure::Connect)
    );
}

#[tokio::test]
async fn bytes_are_counted_whatever_the_header_says() {
    let unbounded = Behaviour::Flood(b"HTTP/1.1 200 OK\r\n\r\n".to_vec());
    let server = Server::start([
        ("/claims", with_headers("Content-Length: 99999999999\r\n", b"x")),
        ("/flood", unbounded),
        ("/exact", ok(&[7; 1000])),
        ("/over", ok(&[7; 1001])),
    ])
    .await;
    let fetcher = Fetcher::new(FetchConfig {
        max_bytes: 1000,
        ..server.config()
    });
    let too_many = failed(FetchFailure::TooManyBytes { max_bytes: 1000 });
    assert_eq!(fetch(&fetcher, &server.url("/claims")).await, too_many);
    assert_eq!(fetch(&fetcher, &server.url("/flood")).await, too_many);
    assert_eq!(fetch(&fetcher, &server.url("/over")).await, too_many);
    assert_eq!(
        fetch(&fetcher, &server.url("/exact")).await.map(|file| file.len()),
        Ok(1000)
    );
    // Each connection was closed, the flooding one too.
    eventually("all connections are closed", || {
        server.log.finished.load(Ordering::SeqCst) == 4
    })
    .await;
}

#[tokio::test]
async fn one_deadline_covers_everything() {
    let server = Server::start([
        ("/silent", Behaviour::Hang(Vec::new())),
        ("/slow-head", Behaviour::Drip(b"HTTP/1.1 200 OK\r\nX-Drip: ".to_vec())),
        (
            "/slow-body",
            Behaviour::Drip(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n".to_vec()),
        ),
        (
            "/stalls",
            Behaviour::Hang(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf".to_vec()),
        ),
    ])
    .await;
    let fetcher = Fetcher::new(FetchConfig {
        timeout: Duration::from_millis(150),
        ..server.config()
    });
    for path in ["/silent", "/slow-head", "/slow-body", "/stalls"] {
        assert_eq!(
            fetch(&fetcher, &server.url(path)).await,
            failed(FetchFailure::TimedOut),
            "{path}"
        );
    }
    eventually("all connections are closed", || {
        server.log.finished.load(Ordering::SeqCst) == 4
    })
    .await;
}

#[tokio::test]
async fn a_dropped_fetch_closes_its_connection_and_frees_its_slot() {
    let server = Server::start([("/silent", Behaviour::Hang(Vec::new())), ("/", ok(b"x"))]).await;
    let fetcher = Arc::new(Fetcher::new(FetchConfig {
        max_concurrent: 1,
        ..server.config()
    }));
    let (shared, url) = (fetcher.clone(), server.url("/silent"));
    let task = tokio::spawn(async move { fetch(&shared, &url).await });
    eventually("the request has come", || {
        !server.log.requests.lock().unwrap().is_empty()
    })
    .await;
    task.abort();
    eventually("its connection is closed", || {
        server.log.finished.load(Ordering::SeqCst) == 1
    })
    .await;
    assert_eq!(fetch(&fetcher, &server.url("/")).await, Ok(b"x".to_vec()));
}

#[tokio::test]
async fn a_name_that_changes_its_mind_is_asked_once() {
    let server = Server::start([("/", ok(b"x"))]).await;
    let port = server.address.port();
    let config = FetchConfig {
        allow: vec![format!("127.0.0.1:{port}").parse().unwrap()],
        ..Default::default()
    };
    // 127.0.0.2 is not allowed: had it been looked up again, this would fail.
    let names = Scripted::new(&[&["127.0.0.1"], &["127.0.0.2"]]);
    let fetcher = Fetcher::with_resolver(config.clone(), names.clone());
    let url = format!("http://rebind.test:{port}/");
    assert_eq!(fetch(&fetcher, &url).await, Ok(b"x".to_vec()));
    assert_eq!(names.asked.load(Ordering::SeqCst), 1);
    // The next fetch asks again and is refused, though a connection to the first address was made before.
    assert_eq!(fetch(&fetcher, &url).await, Err(MediaError::UrlBlocked));
    assert_eq!(server.accepted(), 1);
    let head = server.log.requests.lock().unwrap()[0].to_ascii_lowercase();
    assert!(head.contains(&format!("\r\nhost: rebind.test:{port}\r\n")), "{head}");

    let mixed = Fetcher::with_resolver(config, Scripted::new(&[&["127.0.0.1", "127.0.0.2"]]));
    assert_eq!(fetch(&mixed, &url).await, Err(MediaError::UrlBlocked));
    assert_eq!(server.accepted(), 1);
}

#[tokio::test]
async fn a_dead_address_gives_way_to_the_next() {
    let server = Server::start([("/", ok(b"x"))]).await;
    let port = server.address.port();
    let config = FetchConfig {
        allow: vec![format!("127.0.0.0/8:{port}").parse().unwrap()],
        ..Default::default()
    };
    let fetcher = Fetcher::with_resolver(config, Scripted::new(&[&["127.0.0.9", "127.0.0.1"]]));
    assert_eq!(
        fetch(&fetcher, &format!("http://two.test:{port}/")).await,
        Ok(b"x".to_vec())
    );
}

#[tokio::test]
async fn certificates_are_checked_against_the_name_in_the_url() {
    let made = rcgen::generate_simple_self_signed(vec!["img.test".to_owned()]).unwrap();
    let certificate = made.cert.der().clone();
    let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(tls));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let asked: Arc<Mutex<Vec<Option<String>>>> = Arc::default();
    let names = asked.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(session) = acceptor.accept(stream).await else {
                continue;
            };
            names
                .lock()
                .unwrap()
                .push(session.get_ref().1.server_name().map(str::to_owned));
            converse(session, &HashMap::from([("/", ok(b"x"))]), &Log::default()).await;
        }
    });

    let allow = vec![format!("127.0.0.1:{port}").parse().unwrap()];
    let config = FetchConfig {
        allow,
        extra_roots: vec![certificate],
        ..Default::default()
    };
    let fetcher = |config: &FetchConfig| Fetcher::with_resolver(config.clone(), Scripted::new(&[&["127.0.0.1"]]));
    assert_eq!(
        fetch(&fetcher(&config), &format!("https://img.test:{port}/")).await,
        Ok(b"x".to_vec())
    );
    assert_eq!(asked.lock().unwrap().as_slice(), [Some("img.test".to_owned())]);
    let refused = failed(FetchFailure::Connect);
    assert_eq!(
        fetch(&fetcher(&config), &format!("https://other.test:{port}/")).await,
        refused
    );
    let untrusting = FetchConfig {
        extra_roots: Vec::new(),
        ..config
    };
    assert_eq!(
        fetch(&fetcher(&untrusting), &format!("https://img.test:{port}/")).await,
        refused
    );
}

/// Run by the next test with proxy variables set.
#[tokio::test]
async fn helper_fetches_directly() {
    let server = Server::start([("/", ok(b"direct"))]).await;
    assert_eq!(
        fetch(&Fetcher::new(server.config()), &server.url("/")).await,
        Ok(b"direct".to_vec())
    );
}

#[test]
fn proxy_variables_are_ignored() {
    let mut child = std::process::Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "fetch::helper_fetches_directly"]);
    for name in ["http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy", "ALL_PROXY"] {
        child.env(name, "http://127.0.0.1:1/");
    }
    let done = child.env_remove("no_proxy").env_remove("NO_PROXY").output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stdout));
}
