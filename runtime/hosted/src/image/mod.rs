//! Images of the formats that ONNX names: BMP, JPEG, JPEG 2000, PNG, PNM, TIFF, WebP.
//!
//! The model asks for the size first, and then for the pixels: what was decoded for the first is kept for the second, by its
//! content. What is no image is one without pixels, as ONNX asks; one that is too large is an error. Grey values of colours
//! are those of ITU-R 601-2 in steps of 1/65536; what is transparent is shown without that.

mod bmp;
mod crates;
mod entropy;
mod jpeg;
mod pnm;
mod samples;

use crate::MAX_IMAGE;
use crate::array::{Array, Call, Elements, Outcome};
use std::cell::RefCell;
use std::panic::catch_unwind;

/// Pixels of three colours, 8 bits each, row by row.
#[derive(Clone, Debug, Default, PartialEq)]
struct Image {
    width: usize,
    height: usize,
    colours: Vec<u8>,
}

/// Why there is no image.
enum Refused {
    /// The bytes are none.
    Broken,
    /// It is larger than any may be.
    Large(String),
}

thread_local! {
    /// What was measured and not asked for yet: encoded bytes and pixels.
    static MEASURED: RefCell<Vec<(Vec<u8>, Image)>> = const { RefCell::new(Vec::new()) };
}

/// More images than these are decoded twice where all are measured before the first is asked for.
const MOST_MEASURED: usize = 4;

/// Height and width.
pub(crate) fn measure(call: &Call) -> Outcome {
    let encoded = bytes(call)?;
    let image = read(encoded)?;
    let size = [image.height, image.width].map(|it| it as i64);
    MEASURED.with_borrow_mut(|list| {
        list.truncate(MOST_MEASURED - 1);
        list.insert(0, (encoded.to_vec(), image));
    });
    Ok(vec![Array::ints(size.to_vec())])
}

/// Height by width by colours. Attribute: their order, `RGB`, `BGR` or `Grayscale`.
pub(crate) fn decode(call: &Call) -> Outcome {
    let encoded = bytes(call)?;
    let measured = MEASURED.with_borrow_mut(|list| {
        let place = list.iter().position(|it| it.0 == encoded)?;
        Some(list.swap_remove(place).1)
    });
    let Image { width, height, mut colours } = measured.map_or_else(|| read(encoded), Ok)?;
    let channels = match call.text(0)? {
        "RGB" => 3,
        "BGR" => {
            colours.chunks_mut(3).for_each(<[u8]>::reverse);
            3
        }
        "Grayscale" => {
            colours = colours.chunks(3).map(grey).collect();
            1
        }
        other => return Err(format!("`{other}` is no order of colours")),
    };
    Ok(vec![Array::new(&[height, width, channels], Elements::Bytes(colours))])
}

fn grey(colours: &[u8]) -> u8 {
    let weighed = colours.iter().zip([19595u32, 38470, 7471]).map(|(it, weight)| u32::from(*it) * weight);
    ((weighed.sum::<u32>() + 0x8000) >> 16) as u8
}

fn bytes(call: &Call) -> Result<&[u8], String> {
    match &call.input(0)?.elements {
        Elements::Bytes(list) => Ok(list),
        _ => Err("operand 0 holds no bytes".to_owned()),
    }
}

/// The image, without pixels where the bytes are none.
fn read(encoded: &[u8]) -> Result<Image, String> {
    // A decoder of others that gives up in its own way on hostile bytes gives up on them.
    match catch_unwind(|| read_format(encoded)) {
        Ok(Ok(image)) if image.colours.len() == 3 * image.width * image.height => Ok(image),
        Ok(Err(Refused::Large(message))) => Err(message),
        _ => Ok(Image::default()),
    }
}

fn read_format(encoded: &[u8]) -> Result<Image, Refused> {
    match encoded {
        [0xFF, 0xD8, 0xFF, ..] => {
            let (width, height) = allowed(jpeg::size(encoded).ok_or(Refused::Broken)?)?;
            let colours = jpeg::decode(encoded).ok_or(Refused::Broken)?;
            Ok(Image { width, height, colours })
        }
        [b'B', b'M', ..] => {
            allowed(bmp::size(encoded).ok_or(Refused::Broken)?)?;
            bmp::decode(encoded).ok_or(Refused::Broken)
        }
        [b'P', b'1'..=b'6', ..] => {
            allowed(pnm::size(encoded).ok_or(Refused::Broken)?)?;
            pnm::decode(encoded).ok_or(Refused::Broken)
        }
        [0, 0, 0, 12, b'j', b'P', b' ', b' ', ..] | [0xFF, 0x4F, 0xFF, 0x51, ..] => crates::jpeg2000(encoded),
        [0x89, b'P', b'N', b'G', ..] => crates::png(encoded),
        [b'I', b'I', 42 | 43, 0, ..] | [b'M', b'M', 0, 42 | 43, ..] => crates::tiff(encoded),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => crates::webp(encoded),
        _ => Err(Refused::Broken),
    }
}

/// The size of an image that may be decoded.
fn allowed((width, height): (u32, u32)) -> Result<(usize, usize), Refused> {
    let [wide, high] = [width, height].map(|it| usize::try_from(it).unwrap_or(usize::MAX));
    match wide.checked_mul(high).and_then(|it| it.checked_mul(3)) {
        Some(size) if size <= MAX_IMAGE => Ok((wide, high)),
        _ => Err(Refused::Large(format!(
            "an image of {width} by {height} pixels takes more than {MAX_IMAGE} bytes"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::array::Attribute;

    fn call(encoded: &[u8], format: &str) -> Call {
        let inputs = vec![Array::new(&[encoded.len()], Elements::Bytes(encoded.to_vec()))];
        Call { inputs, attributes: vec![Attribute::Text(format.to_owned())] }
    }

    #[test]
    fn what_is_no_image_has_no_pixels_and_what_is_too_large_is_an_error() {
        for encoded in
            [&b""[..], b"BM", b"P6 2 2 255 ab", b"\xFF\xD8\xFF\xE0", b"\x89PNG\r\n\x1A\n", b"II*\0\x08\0\0\0"]
        {
            let found = decode(&call(encoded, "Grayscale")).expect("nothing");
            assert_eq!(found, [Array::new(&[0, 0, 1], Elements::Bytes(vec![]))], "{encoded:?}");
            assert_eq!(measure(&call(encoded, "")).expect("nothing"), [Array::ints(vec![0, 0])]);
        }
        let error = decode(&call(b"P6 60000 60000 255\n", "RGB")).expect_err("it is large");
        assert!(error.contains("60000 by 60000"), "{error}");
        assert!(decode(&call(b"", "CMYK")).is_err());
    }

    #[test]
    fn colours_come_in_the_order_that_is_asked_for() {
        let encoded = b"P6 1 2 255\n\xFF\x00\x80abc";
        let pixels = |format| decode(&call(encoded, format)).expect("an image")[0].clone();
        assert_eq!(measure(&call(encoded, "")).expect("a size"), [Array::ints(vec![2, 1])]);
        assert_eq!(pixels("RGB"), Array::new(&[2, 1, 3], Elements::Bytes(b"\xFF\x00\x80abc".to_vec())));
        assert_eq!(pixels("BGR"), Array::new(&[2, 1, 3], Elements::Bytes(b"\x80\x00\xFFcba".to_vec())));
        assert_eq!(pixels("Grayscale"), Array::new(&[2, 1, 1], Elements::Bytes(vec![91, 98])));
    }

    #[test]
    fn pixels_are_those_of_pillow() {
        // The digests (FNV-1a) of what Pillow 12 decodes.
        let files = [
            ("rgb.bmp", 0x726F_E0A2_28ED_8F5C),
            ("palette.bmp", 0xF6D1_C3C8_93C5_FF29),
            ("rgb.png", 0x726F_E0A2_28ED_8F5C),
            ("grey.png", 0x451B_2EA8_9AB7_9B7F),
            ("rgb.ppm", 0x726F_E0A2_28ED_8F5C),
            ("bits.pbm", 0x88AE_1E0C_A3B2_58F2),
            ("lzw.tif", 0x726F_E0A2_28ED_8F5C),
            ("cmyk.tif", 0x726F_E0A2_28ED_8F5C),
            ("lossy.webp", 0x6DCE_78C9_E8B9_5274),
            ("lossless.webp", 0x726F_E0A2_28ED_8F5C),
            ("rgb.jp2", 0x726F_E0A2_28ED_8F5C),
            ("444.jpg", 0x4B56_0F60_87A6_278F),
            ("422.jpg", 0x07BF_4B6D_66E7_C6FB),
            ("420.jpg", 0xD40F_7F4D_E9A5_5E8C),
            ("progressive.jpg", 0xD40F_7F4D_E9A5_5E8C),
            ("grey.jpg", 0xBF5E_3E94_502D_C3F5),
            ("cmyk.jpg", 0x6B49_7B09_5DDC_BBA7),
        ];
        for (name, expected) in files {
            let path = format!("{}/tests/images/{name}", env!("CARGO_MANIFEST_DIR"));
            let found = decode(&call(&std::fs::read(path).expect("a file"), "RGB")).expect("an image");
            let Elements::Bytes(colours) = &found[0].elements else { panic!("bytes") };
            assert_eq!(found[0].dims, [21, 13, 3], "{name}");
            let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01B3);
            let digest = colours.iter().fold(0xCBF2_9CE4_8422_2325, step);
            assert_eq!(digest, expected, "{name}");
        }
    }

    #[test]
    fn h2_broken_images_end_in_pixels_or_without() {
        let files =
            std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/images")).expect("a folder");
        let mut random = 1u64;
        let mut next = move || {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random as usize
        };
        for file in files {
            let encoded = std::fs::read(file.expect("a file").path()).expect("bytes");
            for _ in 0..20 {
                let mut encoded = encoded.clone();
                for _ in 0..1 + next() % 4 {
                    let place = next() % encoded.len();
                    encoded[place] = next() as u8;
                }
                encoded.truncate(encoded.len() - next() % 2 * (next() % encoded.len()));
                if let Ok(found) = decode(&call(&encoded, "RGB")) {
                    let Elements::Bytes(colours) = &found[0].elements else { panic!("bytes") };
                    assert_eq!(colours.len(), found[0].dims.iter().product::<usize>());
                }
            }
        }
    }
}
