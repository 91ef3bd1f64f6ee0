//! Formats that crates decode, each as [`Image`].

use super::{Image, Refused, allowed};
use crate::MAX_IMAGE;
use hayro_jpeg2000 as j2k;
use std::io::Cursor;

/// What a decoder may hold besides what it reads.
const ROOM: usize = 4 * MAX_IMAGE;

fn broken<E>(_: E) -> Refused {
    Refused::Broken
}

/// Pixels of so many samples: one is grey, two are grey with what is transparent, of more the first three are colours.
fn of_samples((width, height): (usize, usize), samples: &[u8], channels: usize) -> Image {
    let pixels = samples.chunks_exact(channels.max(1));
    let colours = match channels {
        1 | 2 => pixels.flat_map(|it| [it[0]; 3]).collect(),
        _ => pixels.flat_map(|it| [it[0], it[1], it[2]]).collect(),
    };
    Image { width, height, colours }
}

/// Pixels of four inks.
fn of_inks(size: (usize, usize), samples: &[u8], channels: usize) -> Image {
    let left = |ink: u8, black: u8| (u16::from(255 - ink) * u16::from(255 - black) / 255) as u8;
    let pixels = samples.chunks_exact(channels);
    let colours: Vec<u8> = pixels.flat_map(|it| [0, 1, 2].map(|i| left(it[i], it[3]))).collect();
    of_samples(size, &colours, 3)
}

pub(super) fn png(encoded: &[u8]) -> Result<Image, Refused> {
    let limits = png::Limits { bytes: ROOM };
    let mut decoder = png::Decoder::new_with_limits(Cursor::new(encoded), limits);
    decoder.set_transformations(png::Transformations::normalize_to_color8());
    let header = decoder.read_header_info().map_err(broken)?;
    let size = allowed((header.width, header.height))?;
    let mut reader = decoder.read_info().map_err(broken)?;
    let mut samples = vec![0; reader.output_buffer_size().filter(|it| *it <= ROOM).ok_or(Refused::Broken)?];
    let info = reader.next_frame(&mut samples).map_err(broken)?;
    Ok(of_samples(size, &samples, info.color_type.samples()))
}

pub(super) fn webp(encoded: &[u8]) -> Result<Image, Refused> {
    let mut decoder = image_webp::WebPDecoder::new(Cursor::new(encoded)).map_err(broken)?;
    let size = allowed(decoder.dimensions())?;
    decoder.set_memory_limit(ROOM);
    let mut samples = vec![0; decoder.output_buffer_size().filter(|it| *it <= ROOM).ok_or(Refused::Broken)?];
    decoder.read_image(&mut samples).map_err(broken)?;
    Ok(of_samples(size, &samples, if decoder.has_alpha() { 4 } else { 3 }))
}

pub(super) fn jpeg2000(encoded: &[u8]) -> Result<Image, Refused> {
    let image = j2k::Image::new(encoded, &j2k::DecodeSettings::default()).map_err(broken)?;
    let size = allowed((image.width(), image.height()))?;
    let mut context = j2k::DecoderContext::default();
    let decoded = image.decode(&mut context).map_err(broken)?;
    let channels = decoded.components().len();
    let samples = decoded.data_u8();
    Ok(match image.color_space() {
        j2k::ColorSpace::CMYK if channels >= 4 => of_inks(size, &samples, channels),
        _ => of_samples(size, &samples, channels),
    })
}

/// Palettes are refused: the crate reads none.
pub(super) fn tiff(encoded: &[u8]) -> Result<Image, Refused> {
    use tiff::ColorType::{CMYK, Gray, GrayA, RGB, RGBA};
    use tiff::decoder::{Decoder, DecodingResult};
    let mut decoder = Decoder::new(Cursor::new(encoded)).map_err(broken)?;
    let size = allowed(decoder.dimensions().map_err(broken)?)?;
    let kind = decoder.colortype().map_err(broken)?;
    let samples: Vec<u8> = match decoder.read_image().map_err(broken)? {
        DecodingResult::U8(list) => list,
        DecodingResult::U16(list) => list.into_iter().map(|it| (it >> 8) as u8).collect(),
        _ => return Err(Refused::Broken),
    };
    let whole = |bits: u8| matches!(bits, 8 | 16);
    Ok(match kind {
        Gray(bits) if whole(bits) => of_samples(size, &samples, 1),
        Gray(bits @ (1 | 2 | 4)) => of_samples(size, &unpacked(&samples, size.0, bits), 1),
        GrayA(bits) if whole(bits) => of_samples(size, &samples, 2),
        RGB(bits) if whole(bits) => of_samples(size, &samples, 3),
        RGBA(bits) if whole(bits) => of_samples(size, &samples, 4),
        CMYK(bits) if whole(bits) => of_inks(size, &samples, 4),
        _ => return Err(Refused::Broken),
    })
}

/// Samples of less than a byte, in rows of whole bytes, as shares of 255.
fn unpacked(samples: &[u8], width: usize, bits: u8) -> Vec<u8> {
    let most = (1u8 << bits) - 1;
    let scale = 255 / most;
    let stride = (width * usize::from(bits)).div_ceil(8);
    let sample = move |row: &[u8], x: usize| {
        let bit = x * usize::from(bits);
        (row[bit / 8] >> (8 - usize::from(bits) - bit % 8) & most) * scale
    };
    samples.chunks_exact(stride.max(1)).flat_map(|row| (0..width).map(move |x| sample(row, x))).collect()
}
