//! What CLUSTER answers, word for word what redis-server answers, in RESP2 and RESP3.

mod support;

use support::{TestClient, TestServer, free_port, wait_for};

/// `ZZ` stands for a name that nobody has, `ME` for the node's own.
const REQUESTS: &str = "
cluster
cluster bogus
cluster bogus a b c
cluster meet
cluster meet 1.2.3.4
cluster meet 1.2.3.4 x
cluster meet 1.2.3.4 1 y
cluster meet 1.2.3.4 1 2 3
cluster meet host 7000
cluster meet 1.2.3.4 0
cluster meet 1.2.3.4 65536
cluster meet 1.2.3.4 60000
cluster addslots
cluster addslots x
cluster addslots 16384
cluster addslots 1 1
cluster addslots 1 2 3
cluster addslots 3
cluster addslotsrange 1
cluster addslotsrange 5 4
cluster addslotsrange 5 6 7
cluster addslotsrange 100 200
cluster delslots 4
cluster delslots 1 1
cluster delslots 1
cluster delslotsrange 2 3
cluster delslotsrange 2 3
cluster setslot
cluster setslot 100
cluster setslot 100 x
cluster setslot 100 stable x
cluster setslot 99999 stable
cluster setslot x stable
cluster setslot 100 migrating ZZ
cluster setslot 5 migrating ZZ
cluster setslot 100 importing ZZ
cluster setslot 5 importing ZZ
cluster setslot 5 importing ME
cluster setslot 100 migrating ME
cluster setslot 5 node nosuch
cluster setslot 5 node ZZ
cluster nodes
cluster setslot 100 stable
cluster setslot 5 stable
cluster forget
cluster forget ZZ
cluster forget ME
cluster replicate ZZ
cluster replicate ME
cluster bumpepoch
cluster bumpepoch
cluster set-config-epoch x
cluster set-config-epoch -1
cluster set-config-epoch 7
cluster reset foo
cluster reset hard soft
cluster failover
cluster failover now
cluster failover force
cluster failover force x
cluster count-failure-reports ZZ
cluster count-failure-reports ME
cluster countkeysinslot x
cluster countkeysinslot 99999
cluster countkeysinslot 5
cluster getkeysinslot 5 x
cluster getkeysinslot 5 -1
cluster getkeysinslot 99999 1
cluster getkeysinslot 5 1
cluster keyslot foo
cluster keyslot
cluster slaves ZZ
cluster slaves ME
cluster replicas ME
cluster info x
cluster nodes x
cluster links
cluster slots
cluster shards
cluster info
cluster saveconfig
cluster flushslots
cluster slots
get foo
set foo bar
cluster addslotsrange 0 16383
cluster shards
cluster info
cluster reset
cluster reset hard
cluster set-config-epoch 9
cluster info
cluster nodes
info cluster";

/// The reply, with what is the node's own named.
fn ask(client: &mut TestClient, request: &str, own: &[(String, &str)]) -> String {
    let me = client.run("cluster myid").trim_matches('"').to_owned();
    let request = request.replace("ZZ", &"z".repeat(40)).replace("ME", &me);
    let reply = client.run(&request).replace(&me, "<me>");
    own.iter().fold(reply, |reply, (text, name)| reply.replace(text, name))
}

#[test]
#[ignore = "needs redis-server"]
fn they_are_those_of_redis() {
    let (ours, bus) = TestServer::start_node(&[]);
    let redis_bus = free_port();
    let options = ["--cluster-enabled", "yes", "--cluster-port", &redis_bus.to_string()];
    let redis = TestServer::start_redis(&options);
    let own = |port: u16, bus: u16| [(bus.to_string(), "<bus>"), (port.to_string(), "<port>")];
    let (own, redis_own) = (own(ours.port, bus), own(redis.port, redis_bus));
    for hello in ["hello 2", "hello 3"] {
        let (mut a, mut b) = (ours.client(), redis.client());
        for client in [&mut a, &mut b] {
            client.run(hello);
            assert_eq!(client.run("cluster reset hard"), "+OK");
        }
        for request in REQUESTS.lines().filter(|l| !l.is_empty()) {
            let (mine, theirs) = (ask(&mut a, request, &own), ask(&mut b, request, &redis_own));
            assert_eq!(mine, theirs, "{hello}: {request}");
        }
    }
}

#[test]
#[ignore = "needs redis-server"]
fn copies_stay_in_the_one_database() {
    let (ours, _) = TestServer::start_node(&[]);
    let redis =
        TestServer::start_redis(&["--cluster-enabled", "yes", "--cluster-port", &free_port().to_string()]);
    let (mut a, mut b) = (ours.client(), redis.client());
    for client in [&mut a, &mut b] {
        assert_eq!(client.run("cluster addslotsrange 0 16383"), "+OK");
        wait_for("the cluster is ok", || client.run("set {t}a 1") == "+OK");
    }
    for rest in ["db 0", "db 1", "db 15", "db 16", "db -1", "db x", "db 2 db", "db 1 x", "db 1 db 0 replace"]
    {
        for keys in ["{t}a {t}b", "{t}a {t}a", "{t}none {t}b"] {
            let request = format!("copy {keys} {rest}");
            assert_eq!(a.run(&request), b.run(&request), "{request}");
        }
    }
}
