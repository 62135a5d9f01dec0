//! Copying into an old copy without taking memory: what derived `Clone` does not do, and a replay does at each step.

/// `Clone` with a `clone_from` that hands on to each field. The pattern names every field: a new one can't be forgotten.
macro_rules! clone_in_place {
    ($name:ident { $($field:ident),+ }) => {
        impl Clone for $name {
            fn clone(&self) -> Self {
                let Self { $($field),+ } = self;
                Self { $($field: Clone::clone($field)),+ }
            }

            fn clone_from(&mut self, from: &Self) {
                let Self { $($field),+ } = from;
                $(Clone::clone_from(&mut self.$field, $field);)+
            }
        }
    };
}
