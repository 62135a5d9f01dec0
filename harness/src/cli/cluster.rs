//! `slotproof cluster`: the arguments of `redis-cli --cluster`, in the spelling of redis-trib too.

use std::io;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand};
use slotproof::manager::{self, Add, Create, Fix, Moving, Rebalance, Reshard, Which};
use slotproof::reshard::Access;

use super::console::{INTERRUPTED, Terminal};
use super::out;

/// For one reply of a node, MIGRATE's excepted.
const PATIENCE: Duration = Duration::from_secs(15);

/// Form, look at, change and repair a cluster of Slotproof or Redis nodes.
#[derive(Args, Debug)]
pub(crate) struct Cluster {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    login: Login,
}

#[derive(Args, Debug)]
struct Login {
    /// The password of all nodes; the variable REDISCLI_AUTH if it is not given.
    #[arg(short = 'a', long = "auth", alias = "pass", value_name = "PASSWORD", global = true)]
    password: Option<String>,
    /// The user whose password that is.
    #[arg(long, global = true)]
    user: Option<String>,
}

/// A node of the cluster: `host:port`, or `host port`.
#[derive(Args, Debug)]
struct Entry {
    /// A node of the cluster: host:port, or host port.
    #[arg(required = true, num_args = 1..=2, value_name = "HOST:PORT")]
    entry: Vec<String>,
}

#[derive(Args, Debug)]
struct Moves {
    /// The timeout of one MIGRATE, in ms.
    #[arg(long, alias = "cluster-timeout", default_value_t = 60_000, value_name = "MS",
          value_parser = clap::value_parser!(u64).range(1..=86_400_000))]
    timeout: u64,
    /// The keys of one MIGRATE.
    #[arg(long, alias = "cluster-pipeline", default_value_t = 10, value_name = "KEYS",
          value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pipeline: u32,
    /// A key with another value at the other node may be destroyed: the one that clients are served stays.
    #[arg(long, alias = "cluster-replace")]
    replace: bool,
    /// Answer all questions with yes.
    #[arg(long, alias = "cluster-yes")]
    yes: bool,
}

impl From<&Moves> for Moving {
    fn from(m: &Moves) -> Self {
        Self { timeout_ms: m.timeout, pipeline: m.pipeline as usize, replace: m.replace, yes: m.yes }
    }
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Make a cluster of empty nodes.
    Create {
        /// The nodes, host:port.
        #[arg(required = true, value_name = "HOST:PORT")]
        nodes: Vec<String>,
        /// Replicas for each master.
        #[arg(long, alias = "cluster-replicas", default_value_t = 0)]
        replicas: usize,
        /// Answer all questions with yes.
        #[arg(long, alias = "cluster-yes")]
        yes: bool,
    },
    /// Say what is wrong; exit status 0 only if nothing is.
    Check {
        #[command(flatten)]
        at: Entry,
        /// Look for slots that several nodes call their own, too.
        #[arg(long, alias = "cluster-search-multiple-owners")]
        search_multiple_owners: bool,
    },
    /// Keys, slots and replicas of each master.
    Info {
        #[command(flatten)]
        at: Entry,
    },
    /// Add an empty node.
    AddNode {
        /// The new node, host:port.
        node: String,
        /// A node of the cluster, host:port.
        entry: String,
        /// As a replica.
        #[arg(long, aliases = ["cluster-slave", "replica"])]
        slave: bool,
        /// Of this master.
        #[arg(long, alias = "cluster-master-id", value_name = "ID")]
        master_id: Option<String>,
    },
    /// Remove a node that has no slots.
    DelNode {
        /// A node of the cluster (host:port, or host port), and the name of the node to be removed.
        #[arg(required = true, num_args = 2..=3, value_names = ["HOST:PORT", "ID"])]
        words: Vec<String>,
    },
    /// Move slots to a node.
    Reshard {
        #[command(flatten)]
        at: Entry,
        /// The sources: names with commas between, or all.
        #[arg(long, alias = "cluster-from", value_name = "IDS")]
        from: Option<String>,
        /// The target.
        #[arg(long, alias = "cluster-to", value_name = "ID")]
        to: Option<String>,
        /// How many slots.
        #[arg(long, alias = "cluster-slots", value_name = "N")]
        slots: Option<usize>,
        #[command(flatten)]
        moves: Moves,
    },
    /// Move slots so that each master has its share.
    Rebalance {
        #[command(flatten)]
        at: Entry,
        /// The weights of nodes: ID=WEIGHT; 1 for the others.
        #[arg(long, alias = "cluster-weight", num_args = 1.., value_name = "ID=WEIGHT", value_parser = weight)]
        weight: Vec<(String, f64)>,
        /// Give slots to masters that have none.
        #[arg(long, alias = "cluster-use-empty-masters")]
        use_empty_masters: bool,
        /// How far from its share a node may be, in percent.
        #[arg(long, alias = "cluster-threshold", default_value_t = 2.0)]
        threshold: f64,
        /// Print what would be moved.
        #[arg(long, alias = "cluster-simulate")]
        simulate: bool,
        #[command(flatten)]
        moves: Moves,
    },
    /// Finish or close open slots, give slots of nobody an owner, make views equal.
    Fix {
        #[command(flatten)]
        at: Entry,
        /// Fix slots that several nodes call their own, too.
        #[arg(long, alias = "cluster-search-multiple-owners")]
        search_multiple_owners: bool,
        /// Also while masters do not answer: their slots are given to others.
        #[arg(long, alias = "cluster-fix-with-unreachable-masters")]
        fix_with_unreachable_masters: bool,
        #[command(flatten)]
        moves: Moves,
    },
    /// Send a command to all nodes.
    Call {
        /// Only to masters.
        #[arg(long, alias = "cluster-only-masters", conflicts_with = "only_replicas")]
        only_masters: bool,
        /// Only to replicas.
        #[arg(long, alias = "cluster-only-replicas")]
        only_replicas: bool,
        /// A node of the cluster, host:port.
        entry: String,
        /// The command.
        #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
        words: Vec<String>,
    },
}

pub(crate) fn run(args: &Cluster) -> ExitCode {
    match Terminal::new().and_then(|mut terminal| work(&mut terminal, args)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            out::mistake(&e);
            let stopped = e.kind() == io::ErrorKind::Interrupted;
            if stopped { ExitCode::from(INTERRUPTED) } else { ExitCode::FAILURE }
        }
    }
}

fn work(console: &mut Terminal, args: &Cluster) -> io::Result<()> {
    let password = args.login.password.clone().or_else(|| std::env::var("REDISCLI_AUTH").ok());
    let access = Access { user: args.login.user.clone(), password, patience: PATIENCE };
    match &args.command {
        Command::Create { nodes, replicas, yes } => {
            let wanted = Create { nodes: nodes.clone(), replicas: *replicas, yes: *yes };
            manager::create(console, &wanted, &access)
        }
        Command::Check { at, search_multiple_owners } => {
            manager::check(console, &at.address(), &access, *search_multiple_owners)
        }
        Command::Info { at } => manager::info(console, &at.address(), &access),
        Command::AddNode { node, entry, slave, master_id } => {
            let replica = *slave || master_id.is_some();
            let wanted = Add { node: node.clone(), entry: entry.clone(), replica, master: master_id.clone() };
            manager::add_node(console, &wanted, &access)
        }
        Command::DelNode { words } => match &words[..] {
            [entry @ .., node] => manager::del_node(console, &entry.join(":"), node, &access),
            [] => Ok(()),
        },
        Command::Reshard { at, from, to, slots, moves } => {
            let wanted = Reshard { from: from.clone(), to: to.clone(), slots: *slots };
            manager::reshard(console, &at.address(), &access, &wanted, &moves.into())
        }
        Command::Rebalance { at, weight, use_empty_masters, threshold, simulate, moves } => {
            let wanted = Rebalance {
                weights: weight.clone(),
                use_empty_masters: *use_empty_masters,
                threshold: *threshold,
                simulate: *simulate,
            };
            manager::rebalance(console, &at.address(), &access, &wanted, &moves.into())
        }
        Command::Fix { at, search_multiple_owners, fix_with_unreachable_masters, moves } => {
            let wanted = Fix {
                search_multiple_owners: *search_multiple_owners,
                with_unreachable_masters: *fix_with_unreachable_masters,
            };
            manager::fix(console, &at.address(), &access, wanted, &moves.into())
        }
        Command::Call { only_masters, only_replicas, entry, words } => {
            let (options, words): (Vec<&String>, Vec<&String>) =
                words.iter().partition(|w| w.starts_with("--cluster-only-"));
            let has = |option: &str| options.iter().any(|o| *o == option);
            let which = match () {
                () if *only_masters || has("--cluster-only-masters") => Which::Masters,
                () if *only_replicas || has("--cluster-only-replicas") => Which::Replicas,
                () => Which::All,
            };
            let words: Vec<String> = words.into_iter().cloned().collect();
            if words.is_empty() {
                return Err(io::Error::other("which command?"));
            }
            manager::call(console, entry, &words, which, &access)
        }
    }
}

impl Entry {
    /// `host:port`
    fn address(&self) -> String {
        self.entry.join(":")
    }
}

/// `ID=WEIGHT`
fn weight(text: &str) -> Result<(String, f64), String> {
    let (name, weight) = text.split_once('=').ok_or("ID=WEIGHT is wanted")?;
    let weight: f64 = weight.parse().map_err(|_| format!("{weight:?} is no number"))?;
    if weight.is_finite() && weight >= 0.0 {
        Ok((name.into(), weight))
    } else {
        Err("a weight is 0 or more".into())
    }
}
