//! Pictures from a hash: squares whose colours follow from all that was asked, over the init image if there is one.

use sensorium_contract::{ImageRequest, InitImage, LoraWeight, RgbImage};

use super::options::STRENGTH;
use crate::hash::hash;

/// Side of a square of one colour, in pixels.
const CELL: usize = 8;

/// What is hashed; other tasks hash under other numbers.
const PICTURE: u64 = 4;

/// Value of a preview before anything is to be seen.
const GREY: f32 = 128.0;

/// The pictures of one request.
pub(super) struct Canvas<'a> {
    request: &'a ImageRequest,
    /// Of everything but the seeds.
    key: u64,
}

// === impl Canvas ===

impl<'a> Canvas<'a> {
    pub(super) fn new(request: &'a ImageRequest) -> Self {
        let LoraWeights(loras) = LoraWeights::of(&request.loras);
        let asked = format!(
            "{}\0{:?}\0{}x{} {} {:?} {:?} {loras}",
            request.prompt,
            request.negative_prompt,
            request.width,
            request.height,
            request.steps,
            request.guidance_scale,
            request.scheduler,
        );
        Self {
            request,
            key: hash(PICTURE, asked.as_bytes()),
        }
    }

    /// Denoise steps that are really run: with an image, those that its strength leaves.
    pub(super) fn steps(&self) -> u32 {
        let steps = self.request.steps;
        match &self.request.init {
            None => steps,
            Some(init) => ((steps as f32 * strength(init)) as u32).clamp(1, steps),
        }
    }

    /// One finished picture.
    pub(super) fn image(&self, index: usize) -> Option<RgbImage> {
        self.paint(index, 1.0)
    }

    /// The same when only so much of it is there, 0 to 1.
    pub(super) fn paint(&self, index: usize, share: f32) -> Option<RgbImage> {
        let (width, height) = (self.request.width as usize, self.request.height as usize);
        let seed = self.request.seeds.get(index)?.to_le_bytes();
        let key = self.key ^ hash(PICTURE, &seed);
        let mut rgb = Vec::with_capacity(width * height * 3);
        for y in 0..height {
            for x in 0..width {
                let cell = ((y / CELL) as u64) << 32 | (x / CELL) as u64;
                let colour = hash(key, &cell.to_le_bytes()).to_le_bytes();
                for (channel, value) in colour.into_iter().take(3).enumerate() {
                    let drawn = GREY + (f32::from(value) - GREY) * share;
                    rgb.push(self.over_init((y * width + x, channel), drawn));
                }
            }
        }
        RgbImage::new(self.request.width, self.request.height, rgb).ok()
    }

    /// A drawn value over what the init image has there, where the mask lets it.
    fn over_init(&self, (pixel, channel): (usize, usize), drawn: f32) -> u8 {
        let Some(init) = &self.request.init else {
            return drawn as u8;
        };
        let old = f32::from(init.image.as_bytes()[pixel * 3 + channel]);
        let open = match &init.mask {
            None => strength(init),
            Some(mask) => f32::from(mask.as_bytes()[pixel]) / 255.0,
        };
        (old + (drawn - old) * open).round() as u8
    }
}

fn strength(init: &InitImage) -> f32 {
    init.strength.unwrap_or(STRENGTH)
}

/// What is mixed in, as text.
struct LoraWeights(String);

impl LoraWeights {
    fn of(loras: &[LoraWeight]) -> Self {
        let each = loras.iter().map(|lora| format!("{}={}", lora.name, lora.weight));
        Self(each.collect::<Vec<_>>().join(","))
    }
}

#[cfg(test)]
mod tests {
    use sensorium_contract::Mask;

    use super::*;

    pub(crate) fn request() -> ImageRequest {
        ImageRequest::new("a star", (16, 8), 10, vec![1, 2])
    }

    fn bytes(request: &ImageRequest, index: usize) -> Vec<u8> {
        Canvas::new(request).image(index).unwrap().as_bytes().to_vec()
    }

    #[test]
    fn equal_requests_give_equal_pictures_and_others_others() {
        let base = request();
        assert_eq!(bytes(&base, 0), bytes(&base, 0));
        assert_ne!(bytes(&base, 0), bytes(&base, 1));
        let spoils: [fn(&mut ImageRequest); 7] = [
            |r| r.prompt.push('s'),
            |r| r.negative_prompt = Some("blur".into()),
            |r| r.steps = 11,
            |r| r.guidance_scale = Some(1.0),
            |r| r.seeds[0] = 3,
            |r| r.scheduler = Some("DDIMScheduler".into()),
            |r| {
                r.loras.push(LoraWeight {
                    name: "ink".into(),
                    weight: 1.0,
                })
            },
        ];
        for spoil in spoils {
            let mut other = request();
            spoil(&mut other);
            assert_ne!(bytes(&base, 0), bytes(&other, 0), "{other:?}");
        }
        let alone = ImageRequest {
            seeds: vec![2],
            ..request()
        };
        assert_eq!(bytes(&alone, 0), bytes(&base, 1), "whatever else is made with it");
    }

    #[test]
    fn what_the_mask_keeps_stays_as_it_was() {
        let mut masked = request();
        let old = vec![77; 16 * 8 * 3];
        let plane: Vec<u8> = (0..16 * 8).map(|i| if i % 16 < 8 { 0 } else { 255 }).collect();
        masked.init = Some(InitImage {
            image: RgbImage::new(16, 8, old.clone()).unwrap(),
            mask: Some(Mask::new(16, 8, plane).unwrap()),
            strength: None,
        });
        let (new, free) = (bytes(&masked, 0), bytes(&request(), 0));
        for pixel in 0..16 * 8 {
            let at = pixel * 3..pixel * 3 + 3;
            let expected = if pixel % 16 < 8 {
                &old[at.clone()]
            } else {
                &free[at.clone()]
            };
            assert_eq!(&new[at], expected, "{pixel}");
        }
        assert_eq!(Canvas::new(&masked).steps(), 8);
    }
}
