//! The `user` line of redis.conf, as CONFIG REWRITE of Redis writes it (acl.c `ACLSetUser`).
//!
//! **There are no access lists**: the line may name no other user than `default`, and has to give it all rights. What is
//! left of it are the passwords.

use sha2::{Digest, Sha256};

/// What the line says of the user `default`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DefaultUser {
    /// SHA-256 of its passwords; without any it needs none.
    passwords: Vec<[u8; 32]>,
}

impl DefaultUser {
    /// Reads the words behind `user`.
    pub(super) fn parse(words: &[&[u8]]) -> Result<Self, String> {
        let [name, rules @ ..] = words else {
            return Err("Bad directive or wrong number of arguments".into());
        };
        let wrong = |word: &[u8], why: &str| {
            Err(format!("Error in user declaration '{}': {why}", String::from_utf8_lossy(word)))
        };
        if *name != b"default" {
            return wrong(name, "there are no access lists in this version, and no user but 'default'");
        }
        let (mut on, mut keys, mut channels, mut commands) = (false, false, false, false);
        let (mut open, mut passwords) = (false, Vec::new());
        for rule in rules {
            match rule.to_ascii_lowercase().as_slice() {
                b"on" => on = true,
                b"off" => on = false,
                b"~*" | b"allkeys" => keys = true,
                b"resetkeys" => keys = false,
                b"&*" | b"allchannels" => channels = true,
                b"resetchannels" => channels = false,
                b"+@all" | b"allcommands" => commands = true,
                b"-@all" | b"nocommands" => commands = false,
                // Payloads are always checked.
                b"sanitize-payload" | b"skip-sanitize-payload" => {}
                b"nopass" => (open, passwords) = (true, Vec::new()),
                b"resetpass" => (open, passwords) = (false, Vec::new()),
                b"reset" => {
                    (on, keys, channels, commands) = (false, false, false, false);
                    (open, passwords) = (false, Vec::new());
                }
                [b'>', ..] => {
                    open = false;
                    passwords.push(Sha256::digest(&rule[1..]).into());
                }
                [b'#', ..] => match hash(&rule[1..]) {
                    Some(hash) => {
                        open = false;
                        passwords.push(hash);
                    }
                    None => {
                        return wrong(
                            rule,
                            "The password hash must be exactly 64 characters and contain only lowercase hexadecimal \
                             characters",
                        );
                    }
                },
                _ => {
                    return wrong(
                        rule,
                        "there are no access lists in this version, but for 'default' with all rights",
                    );
                }
            }
        }
        if !(on && keys && channels && commands && (open || !passwords.is_empty())) {
            return wrong(
                name,
                "there are no access lists in this version: it needs on, ~*, &*, +@all, and a password or nopass",
            );
        }
        Ok(Self { passwords })
    }

    /// Whether there is a password.
    pub(super) fn has_password(&self) -> bool {
        !self.passwords.is_empty()
    }

    /// Whether this is a password of it.
    pub(super) fn is_password(&self, given: &[u8]) -> bool {
        let given: [u8; 32] = Sha256::digest(given).into();
        self.passwords.iter().fold(false, |found, hash| found | equal(hash, &given))
    }
}

/// Compares in a time that tells nothing about how much of it was equal.
pub(super) fn equal(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |diff, (a, b)| diff | (a ^ b)) == 0
}

fn hash(digits: &[u8]) -> Option<[u8; 32]> {
    let digit = |b: u8| match b {
        b'0'..=b'9' => Some(b - b'0'),
        b'a'..=b'f' => Some(b - b'a' + 10),
        _ => None,
    };
    let pairs = digits.chunks(2).map(|pair| Some(digit(pair[0])? << 4 | digit(*pair.get(1)?)?));
    pairs.collect::<Option<Vec<u8>>>()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(line: &str) -> Result<DefaultUser, String> {
        DefaultUser::parse(&line.split(' ').map(str::as_bytes).collect::<Vec<_>>())
    }

    /// Of `pw1`.
    const HASH: &str = "#c592df4a86933b92addc9842402ddf198c638ea9be58916ee6e3734e1e3152f8";

    #[test]
    fn passwords_are_those_that_stand_last() {
        let is = |line: &str, password: &str| user(line).expect(line).is_password(password.as_bytes());
        let rights = "~* &* +@all";
        for line in [
            &format!("default on sanitize-payload {HASH} {rights}"),
            &format!("default on nopass >pw1 {rights}"),
            &format!("default on >pw2 >pw1 {rights}"),
            "default RESET ON >pw1 AllKeys resetchannels allchannels -@all allcommands",
        ] {
            assert!(is(line, "pw1") && !is(line, "PW1") && !is(line, ""), "{line}");
        }
        assert!(!is(&format!("default on >pw1 resetpass >pw2 {rights}"), "pw1"));
        assert!(!user(&format!("default on >pw1 nopass {rights}")).expect("open").has_password());
    }

    #[test]
    fn what_would_be_an_access_list_is_refused() {
        for line in [
            "bob on >p ~* &* +@all",
            "default",
            "default on nopass ~* +@all",
            "default on nopass &* +@all",
            "default on nopass ~* &*",
            "default off nopass ~* &* +@all",
            "default nopass ~* &* +@all",
            "default on ~* &* +@all",
            "default on nopass ~* ~a* &* +@all",
            "default on nopass ~* &* +@all -get",
            "default on nopass ~* &* +@all reset",
            "default on nopass ~* &* +@all (+get ~a)",
            "default on >p <p ~* &* +@all",
        ] {
            let error = user(line).expect_err(line);
            assert!(error.contains("there are no access lists"), "{error}");
        }
        for hash in ["#", "#abc", &HASH.to_uppercase(), &format!("{HASH}00"), &HASH[..64]] {
            let error = user(&format!("default on {hash} ~* &* +@all")).expect_err(hash);
            assert!(error.contains("64 characters"), "{error}");
        }
    }
}
