//! Copying into an old copy without taking memory: what derived `Clone` does not do, and a replay does at each step.

/// `Clone` with a `clone_from` that hands on to each field. The pattern names every field: a new one can't be forgotten. A field named
/// behind `but` is left to the method behind `by`, which runs ahead of the others.
macro_rules! clone_in_place {
    ($name:ident { $($field:ident),+ } $(but $special:ident by $method:ident)?) => {
        impl Clone for $name {
            fn clone(&self) -> Self {
                let Self { $($field,)+ $($special)? } = self;
                Self { $($field: Clone::clone($field),)+ $($special: Clone::clone($special))? }
            }

            fn clone_from(&mut self, from: &Self) {
                $(self.$method(from);)?
                let Self { $($field,)+ $($special: _)? } = from;
                $(Clone::clone_from(&mut self.$field, $field);)+
            }
        }
    };
}
