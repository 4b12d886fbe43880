//! Where the constructors of objects were defined.

use rustc_hash::FxHashMap;

use super::{
    budget::Budget,
    header::{Fields, Header},
    indices::Ordinals,
    pages::Column,
    parallel::read_array,
    records::{Columns, Parse, quick},
    text::Text,
    trace::{Few, empty},
};
use crate::error::{Code, Error, Result};

const WHAT: &str = "the locations";
/// The most places that are looked up, so that what remembers them stays small.
const MOST_PLACES: usize = 1 << 16;

/// One `locations` record: where the constructor of an object was defined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Location {
    /// The object's ordinal.
    pub node: u32,
    /// V8's script id.
    pub script_id: u32,
    /// Zero-based line.
    pub line: u32,
    /// Zero-based column.
    pub column: u32,
}

/// All of them. Objects are many and constructors are few: each place is kept once.
#[derive(Default)]
pub struct Locations {
    /// The object's ordinal, and the index of the place.
    rows: Column<(u32, u32)>,
    places: Column<Place>,
}

type Place = [u32; 3];

impl Locations {
    /// How many records.
    pub fn len(&self) -> usize {
        self.rows.len()
    }
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
    /// All records, in file order.
    pub fn iter(&self) -> impl Iterator<Item = Location> {
        self.rows.iter().map(|&(node, place)| {
            let [script_id, line, column] = self.places[place as usize];
            Location { node, script_id, line, column }
        })
    }
    pub(super) fn memory(&self) -> u64 {
        self.rows.memory() + self.places.memory()
    }
}

/// Reads `locations`, or passes over an empty array whose layout the header does not give.
pub(super) fn read_locations(
    text: &mut Text,
    header: &Header,
    ordinals: Ordinals,
    budget: &mut Budget,
    threads: usize,
) -> Result<Locations> {
    if header.location_fields.is_empty() {
        return empty(text).map(|()| Locations::default());
    }
    let fields = Fields::new(&header.location_fields, "location_fields")?;
    let at = [fields.at("object_index")?, fields.at("script_id")?, fields.at("line")?, fields.at("column")?];
    let parser = LocationParser { width: fields.width(), at, ordinals };
    let mut filling = Filling { budget, locations: Locations::default(), numbers: FxHashMap::default() };
    read_array(text, &parser, &mut filling, None, threads)?;
    let Filling { mut locations, budget, .. } = filling;
    budget.shrink(&mut locations.rows);
    Ok(locations)
}

/// The records as they come.
struct Filling<'a> {
    budget: &'a mut Budget,
    locations: Locations,
    numbers: FxHashMap<Place, u32>,
}

impl Columns<Few<Location>> for Filling<'_> {
    fn append(&mut self, block: &Few<Location>) -> Result<()> {
        let Locations { rows, places } = &mut self.locations;
        self.budget.grow(rows, block.rows.len(), WHAT)?;
        for &Location { node, script_id, line, column } in &block.rows {
            let place = [script_id, line, column];
            let known = match rows.last() {
                Some(&(_, last)) if places[last as usize] == place => Some(last),
                _ => self.numbers.get(&place).copied(),
            };
            let number = match known {
                Some(number) => number,
                None => {
                    let number = places.len() as u32;
                    self.budget.grow(places, 1, WHAT)?;
                    places.push(place)?;
                    if self.numbers.len() < MOST_PLACES {
                        self.numbers.insert(place, number);
                    }
                    number
                }
            };
            rows.push((node, number))?;
        }
        Ok(())
    }
}

/// Reads records of a layout.
struct LocationParser {
    width: usize,
    at: [usize; 4],
    ordinals: Ordinals,
}

impl Parse for LocationParser {
    type Block = Few<Location>;

    fn width(&self) -> usize {
        self.width
    }

    fn quick(&self, text: &[u8], _offset: u64, limit: usize, block: &mut Few<Location>) -> (usize, usize) {
        if self.width != 4 || self.at != [0, 1, 2, 3] {
            return (0, 0);
        }
        quick::<4>(text, limit, |_, &[object, script_id, line, column], _| {
            let Some(node) = self.ordinals.of(object) else { return false };
            block.rows.push(Location { node, script_id, line, column });
            true
        })
    }

    fn push(&self, record: &[u32], offset: u64, block: &mut Few<Location>) -> Result<()> {
        let [object, script_id, line, column] = self.at.map(|at| record[at]);
        let Some(node) = self.ordinals.of(object) else {
            let message = format!("a location belongs to node index {object}, which is no node");
            return Err(Error::at(Code::Corrupt, offset, message));
        };
        block.rows.push(Location { node, script_id, line, column });
        Ok(())
    }
}
