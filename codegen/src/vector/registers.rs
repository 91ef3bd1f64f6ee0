//! What is known of registers, by register: places in lists, since their numbers are small.

use super::ir::{IReg, MReg, Reg, VReg};

/// Classes take turns.
fn place(reg: Reg) -> usize {
    let class = match reg {
        Reg::Vector(_) => 0,
        Reg::Int(_) => 1,
        Reg::Mask(_) => 2,
    };
    3 * reg.number() as usize + class
}

fn at(place: usize) -> Reg {
    let number = (place / 3) as u32;
    match place % 3 {
        0 => Reg::Vector(VReg(number)),
        1 => Reg::Int(IReg(number)),
        _ => Reg::Mask(MReg(number)),
    }
}

/// Values by register.
#[derive(Clone, Debug)]
pub(super) struct RegMap<T>(Vec<Option<T>>);

impl<T> Default for RegMap<T> {
    fn default() -> Self {
        RegMap(Vec::new())
    }
}

impl<T: Copy> RegMap<T> {
    /// The value of a register.
    pub(super) fn get(&self, reg: Reg) -> Option<T> {
        self.0.get(place(reg)).copied().flatten()
    }

    /// The place for the value of a register.
    pub(super) fn slot(&mut self, reg: Reg) -> &mut Option<T> {
        let place = place(reg);
        if self.0.len() <= place {
            self.0.resize(place + 1, None);
        }
        &mut self.0[place]
    }

    /// Registers with values.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Reg, T)> {
        self.0.iter().enumerate().filter_map(|(place, value)| Some((at(place), (*value)?)))
    }
}

/// Registers, a bit for each.
#[derive(Clone, Debug, Default)]
pub(super) struct RegSet(Vec<u64>);

impl RegSet {
    /// Whether it is in.
    pub(super) fn contains(&self, reg: Reg) -> bool {
        let place = place(reg);
        self.0.get(place / 64).is_some_and(|it| it >> (place % 64) & 1 == 1)
    }

    /// Puts it in; whether it was not.
    pub(super) fn insert(&mut self, reg: Reg) -> bool {
        let place = place(reg);
        if self.0.len() <= place / 64 {
            self.0.resize(place / 64 + 1, 0);
        }
        let (word, bit) = (&mut self.0[place / 64], 1 << (place % 64));
        let is_new = *word & bit == 0;
        *word |= bit;
        is_new
    }

    /// Takes it out.
    pub(super) fn remove(&mut self, reg: Reg) {
        let place = place(reg);
        if let Some(word) = self.0.get_mut(place / 64) {
            *word &= !(1 << (place % 64));
        }
    }

    /// Takes out what is not in the other.
    pub(super) fn intersect(&mut self, other: &RegSet) {
        for (i, word) in self.0.iter_mut().enumerate() {
            *word &= other.0.get(i).copied().unwrap_or(0);
        }
    }

    /// Those that are in.
    pub(super) fn iter(&self) -> impl Iterator<Item = Reg> {
        (0..64 * self.0.len()).filter(|it| self.0[it / 64] >> (it % 64) & 1 == 1).map(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_apart() {
        let all = [Reg::Vector(VReg(7)), Reg::Int(IReg(7)), Reg::Mask(MReg(7)), Reg::Int(IReg(40))];
        let mut set = RegSet::default();
        for reg in all {
            assert!(!set.contains(reg) && set.insert(reg) && !set.insert(reg) && set.contains(reg));
        }
        assert_eq!(set.iter().collect::<Vec<_>>(), all);
        set.remove(all[1]);
        let mut other = RegSet::default();
        other.insert(all[1]);
        other.insert(all[2]);
        set.intersect(&other);
        assert_eq!(set.iter().collect::<Vec<_>>(), [all[2]]);
    }

    #[test]
    fn values_are_found_by_register() {
        let mut map = RegMap::default();
        *map.slot(Reg::Int(IReg(3))) = Some(1);
        *map.slot(Reg::Vector(VReg(3))) = Some(2);
        assert_eq!((map.get(Reg::Int(IReg(3))), map.get(Reg::Mask(MReg(3)))), (Some(1), None));
        let all: Vec<(Reg, i32)> = map.iter().collect();
        assert_eq!(all, [(Reg::Vector(VReg(3)), 2), (Reg::Int(IReg(3)), 1)]);
    }
}
