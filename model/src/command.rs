//! CLUSTER commands that change the node: their form, and the errors of a bad one.
//!
//! What a well-formed command is refused for, and what it does, is in [`crate::NodeState::step`].

use crate::id::NodeId;
use crate::slot::{SLOTS, Slot};

/// A CLUSTER command that may change the node's state (rules of cluster.c `clusterCommand`, 7.0).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Command {
    /// `MEET ip port [cport]`, numbers already read; whether the address is one is judged in the step.
    Meet {
        /// As given.
        ip: Box<str>,
        /// Client port as given.
        port: i64,
        /// Bus port as given, or port + 10000.
        cport: i64,
    },
    /// `ADDSLOTS` and `ADDSLOTSRANGE`, as listed.
    AddSlots(SlotList),
    /// `DELSLOTS` and `DELSLOTSRANGE`, as listed.
    DelSlots(SlotList),
    /// `FLUSHSLOTS`.
    FlushSlots,
    /// `SETSLOT slot ...`.
    SetSlot {
        /// The slot, as given: the check of the node's role comes before that of the form.
        slot: Slot,
        /// What about it.
        action: SetSlot,
    },
    /// A SETSLOT with a bad slot or a bad form: refused with this text, unless the node is a replica.
    BadSetSlot(Box<str>),
    /// `FORGET node`; none if the text is no name that a node can have.
    Forget(Result<NodeId, Box<str>>),
    /// `REPLICATE node`.
    Replicate(Result<NodeId, Box<str>>),
    /// `BUMPEPOCH`.
    BumpEpoch,
    /// `SET-CONFIG-EPOCH n`.
    SetConfigEpoch(i64),
    /// `RESET [HARD|SOFT]`.
    Reset {
        /// HARD.
        hard: bool,
    },
    /// `SAVECONFIG`.
    SaveConfig,
}

/// Slots as an operator listed them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct SlotList {
    /// In their order, repetitions included.
    pub slots: Vec<Slot>,
    /// A mistake further on, which is answered unless one of these slots gives another error.
    pub then: Option<Box<str>>,
}

/// What SETSLOT says of a slot.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum SetSlot {
    /// `MIGRATING node`.
    Migrating(Result<NodeId, Box<str>>),
    /// `IMPORTING node`.
    Importing(Result<NodeId, Box<str>>),
    /// `STABLE`.
    Stable,
    /// `NODE node`.
    Node(Result<NodeId, Box<str>>),
}

/// Why a command was not understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CommandError {
    /// No subcommand of this module: it may be one that only reads.
    Unknown,
    /// Wrong number of arguments for this subcommand (its name in lower case).
    Arity(&'static str),
    /// Another mistake; the text, without `-ERR `.
    Text(String),
}

impl Command {
    /// Reads the arguments behind `CLUSTER`. Arity and texts are those of 7.0 (rules.md sections 13 and 19).
    pub fn parse(args: &[&[u8]], rules: &crate::Rules) -> Result<Self, CommandError> {
        let Some((name, rest)) = args.split_first() else { return Err(CommandError::Unknown) };
        let lower = String::from_utf8_lossy(name).to_ascii_lowercase();
        let argc = args.len() + 1;
        let exactly = |n: usize, name: &'static str| {
            if argc == n { Ok(()) } else { Err(CommandError::Arity(name)) }
        };
        let at_least = |n: usize, name: &'static str| {
            if argc >= n { Ok(()) } else { Err(CommandError::Arity(name)) }
        };
        match lower.as_str() {
            "meet" => {
                at_least(4, "meet")?;
                if argc > 5 {
                    return Err(CommandError::Text(too_many(name)));
                }
                let tcp = if rules.meet_errors_say_tcp { "TCP " } else { "" };
                let number = |arg: &[u8], what: &str| {
                    integer(arg).ok_or_else(|| {
                        CommandError::Text(format!("Invalid {tcp}{what} port specified: {}", lossy(arg)))
                    })
                };
                let port = number(rest[1], "base")?;
                let cport = match rest.get(2) {
                    Some(arg) => number(arg, "bus")?,
                    None => port.saturating_add(10_000),
                };
                Ok(Self::Meet { ip: lossy(rest[0]).into(), port, cport })
            }
            "addslots" => {
                at_least(3, "addslots")?;
                slots(rest).map(Self::AddSlots)
            }
            "delslots" => {
                at_least(3, "delslots")?;
                slots(rest).map(Self::DelSlots)
            }
            "addslotsrange" => {
                at_least(4, "addslotsrange")?;
                slot_ranges(rest, "addslotsrange").map(Self::AddSlots)
            }
            "delslotsrange" => {
                at_least(4, "delslotsrange")?;
                slot_ranges(rest, "delslotsrange").map(Self::DelSlots)
            }
            "flushslots" => exactly(2, "flushslots").map(|()| Self::FlushSlots),
            "setslot" => {
                at_least(4, "setslot")?;
                Ok(set_slot(rest))
            }
            "forget" => exactly(3, "forget").map(|()| Self::Forget(node(rest[0]))),
            "replicate" => exactly(3, "replicate").map(|()| Self::Replicate(node(rest[0]))),
            "bumpepoch" => exactly(2, "bumpepoch").map(|()| Self::BumpEpoch),
            "set-config-epoch" => {
                exactly(3, "set-config-epoch")?;
                let epoch = integer(rest[0])
                    .ok_or_else(|| CommandError::Text("value is not an integer or out of range".into()))?;
                Ok(Self::SetConfigEpoch(epoch))
            }
            "reset" => {
                at_least(2, "reset")?;
                if argc > 3 {
                    return Err(CommandError::Text(too_many(name)));
                }
                match rest.first() {
                    None => Ok(Self::Reset { hard: false }),
                    Some(word) if word.eq_ignore_ascii_case(b"hard") => Ok(Self::Reset { hard: true }),
                    Some(word) if word.eq_ignore_ascii_case(b"soft") => Ok(Self::Reset { hard: false }),
                    Some(_) => Err(CommandError::Text("syntax error".into())),
                }
            }
            "saveconfig" => exactly(2, "saveconfig").map(|()| Self::SaveConfig),
            _ => Err(CommandError::Unknown),
        }
    }
}

/// A slot as commands read it: a decimal number in range.
pub fn parse_slot(arg: &[u8]) -> Result<Slot, CommandError> {
    integer(arg)
        .and_then(|n| u16::try_from(n).ok())
        .and_then(|n| Slot::try_from(n).ok())
        .ok_or_else(|| CommandError::Text("Invalid or out of range slot".into()))
}

fn slots(args: &[&[u8]]) -> Result<SlotList, CommandError> {
    let slots = args.iter().map(|a| parse_slot(a)).collect::<Result<_, _>>()?;
    Ok(SlotList { slots, then: None })
}

fn slot_ranges(args: &[&[u8]], name: &'static str) -> Result<SlotList, CommandError> {
    if args.len() % 2 == 1 {
        return Err(CommandError::Arity(name));
    }
    let mut list = SlotList::default();
    for pair in args.chunks(2) {
        let range = match (parse_slot(pair[0]), parse_slot(pair[1])) {
            (Ok(first), Ok(last)) if first <= last => u16::from(first)..=u16::from(last),
            (Ok(first), Ok(last)) => {
                let text = format!("start slot number {first} is greater than end slot number {last}");
                list.then = Some(text.into());
                break;
            }
            _ => {
                list.then = Some("Invalid or out of range slot".into());
                break;
            }
        };
        list.slots.extend(range.map(Slot::new));
        // More than the cluster has: one of them is listed twice, and the step will say so.
        if list.slots.len() > usize::from(SLOTS) {
            break;
        }
    }
    Ok(list)
}

fn set_slot(rest: &[&[u8]]) -> Command {
    let slot = match parse_slot(rest[0]) {
        Ok(slot) => slot,
        Err(_) => return Command::BadSetSlot("Invalid or out of range slot".into()),
    };
    let action = match (rest[1].to_ascii_lowercase().as_slice(), rest.len()) {
        (b"migrating", 3) => SetSlot::Migrating(node(rest[2])),
        (b"importing", 3) => SetSlot::Importing(node(rest[2])),
        (b"stable", 2) => SetSlot::Stable,
        (b"node", 3) => SetSlot::Node(node(rest[2])),
        _ => {
            return Command::BadSetSlot(
                "Invalid CLUSTER SETSLOT action or number of arguments. Try CLUSTER HELP".into(),
            );
        }
    };
    Command::SetSlot { slot, action }
}

/// A node's name; the text as given if no node can have that name.
fn node(arg: &[u8]) -> Result<NodeId, Box<str>> {
    NodeId::parse(arg).map_err(|_| lossy(arg).into())
}

fn lossy(arg: &[u8]) -> String {
    String::from_utf8_lossy(arg).into_owned()
}

fn too_many(name: &[u8]) -> String {
    let shown: String = lossy(name).chars().take(128).collect();
    format!("unknown subcommand or wrong number of arguments for '{shown}'. Try CLUSTER HELP.")
}

/// A decimal integer of 64 bits as Redis reads it (`string2ll`): no sign but `-`, no leading zeros, no spaces.
pub fn integer(arg: &[u8]) -> Option<i64> {
    let digits = arg.strip_prefix(b"-").unwrap_or(arg);
    let canonical = match digits {
        [b'0'] => arg.len() == 1,
        [b'1'..=b'9', rest @ ..] => rest.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    if canonical { core::str::from_utf8(arg).ok()?.parse().ok() } else { None }
}
