//! A nodes.conf that is cut, damaged, unreadable, or used by another node: the node says so and ends, and leaves the file alone.

mod support;

use std::path::Path;
use std::process::{Command, Output};

use slotproof_model::nodes_conf::parse;
use support::{TestServer, free_port};

const FILE: &str = "\
67ed2db8d677e59ec4a4cefb06858cf2a1a89fa1 127.0.0.1:1@1,host.example master - 0 1426238316232 2 disconnected 5461-10922
e7d1eecce10fd6bb5eb35b9f99a514335d9ba9ca 127.0.0.1:2@2 myself,master - 0 0 1 connected 0-5460 [93-<-67ed2db8d677e59ec4a4cefb06858cf2a1a89fa1]
vars currentEpoch 6 lastVoteEpoch 5
";

/// Starts a node that is expected to end at once.
fn fails(dir: &Path) -> String {
    let Output { status, stdout, stderr } = Command::new(env!("CARGO_BIN_EXE_slotproof-node"))
        .current_dir(dir)
        .args(["--port", &free_port().to_string(), "--cluster-enabled", "yes"])
        .args(["--cluster-port", &free_port().to_string()])
        .output()
        .expect("it ends");
    let text = String::from_utf8_lossy(&stderr).into_owned();
    assert_eq!(status.code(), Some(1), "{text}");
    assert!(!String::from_utf8_lossy(&stdout).contains("Ready to accept connections"));
    assert!(!text.contains("panicked"), "{text}");
    text
}

#[test]
fn cut_anywhere_it_is_refused_or_makes_a_node() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("nodes.conf");
    let (mut refused, mut taken) = (0, Vec::new());
    for n in 0..=FILE.len() {
        let cut = &FILE[..n];
        match parse(cut.as_bytes()) {
            // The node reads what the model reads: every seventh is tried.
            Err(e) if n % 7 == 0 || n + 40 > FILE.len() => {
                std::fs::write(&path, cut).expect("written");
                let text = fails(dir.path());
                let want = format!("Unrecoverable error: corrupted cluster config file nodes.conf: {e}");
                assert!(text.contains(&want), "{n} bytes: {text}");
                assert_eq!(std::fs::read_to_string(&path).expect("read"), cut, "it is left as it was");
                refused += 1;
            }
            Err(_) => {}
            Ok(_) => taken.push(cut),
        }
    }
    assert!(refused > 30 && taken.len() > 3, "{refused} refused, {} taken", taken.len());
    for cut in [taken[0], taken[1], taken[taken.len() / 2], FILE] {
        std::fs::write(&path, cut).expect("written");
        let (node, _) = TestServer::start_node(&["--dir", dir.path().to_str().expect("a path")]);
        let me = node.client().run("cluster myid");
        let known = me == "\"e7d1eecce10fd6bb5eb35b9f99a514335d9ba9ca\"";
        assert_eq!(known, !cut.is_empty(), "{cut:?}");
    }
}

#[test]
fn damaged_it_is_named_with_its_line() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("nodes.conf");
    for (what, bytes, says) in [
        ("bytes of anything", (0u8..=255).cycle().take(100_000).collect(), "line 1: "),
        ("zeros", vec![0; 4096], "line 1: "),
        ("a long line", [&b"x".repeat(1 << 20)[..], b" y"].concat(), "line 1: 2 words"),
        (
            "an epoch",
            FILE.replace("Epoch 6", "Epoch 18446744073709551616").into_bytes(),
            "line 3: bad currentEpoch",
        ),
        ("a slot", FILE.replace("10922", "16384").into_bytes(), "line 1: bad slots"),
        ("twice myself", FILE.replace(" master -", " myself,master -").into_bytes(), "line 2: a second node"),
        ("nobody myself", FILE.replace("myself,", "").into_bytes(), "no node has the flag myself"),
        ("a port", FILE.replace(":1@1", ":65536@1").into_bytes(), "line 1: bad address"),
        ("a quote", FILE.replace("connected 0", "\"connected 0").into_bytes(), "line 2: a quote"),
    ] {
        std::fs::write(&path, &bytes).expect("written");
        let text = fails(dir.path());
        let says = format!("corrupted cluster config file nodes.conf: {says}");
        assert!(text.contains(&says) && text.len() < 2_000, "{what}: {text}");
        assert_eq!(std::fs::read(&path).expect("read"), bytes, "{what}");
    }
    std::fs::remove_file(&path).expect("removed");
    std::fs::create_dir(&path).expect("a directory");
    let text = fails(dir.path());
    assert!(text.contains("cluster configuration file nodes.conf can't be used: Is a directory"), "{text}");
}

#[test]
fn of_two_nodes_on_one_file_the_second_ends() {
    let (node, _) = TestServer::start_node(&[]);
    let mut client = node.client();
    let path = node.dir.path().join("nodes.conf");
    for slot in 0..3 {
        let before = std::fs::read_to_string(&path).expect("read");
        let text = fails(node.dir.path());
        assert!(text.contains("nodes.conf can't be used: another process uses it"), "{text}");
        assert_eq!(std::fs::read_to_string(&path).expect("read"), before);
        // The file is another one after each save; the lock is on that one too.
        assert_eq!(client.run(&format!("cluster addslots {slot}")), "+OK");
        assert_ne!(std::fs::read_to_string(&path).expect("read"), before);
    }
    assert_eq!(client.run("ping"), "+PONG");
    // Also by another name.
    let other = tempfile::tempdir().expect("a directory");
    std::os::unix::fs::symlink(&path, other.path().join("nodes.conf")).expect("a link");
    let text = fails(other.path());
    assert!(text.contains("another process uses it"), "{text}");
}
