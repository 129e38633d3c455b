//! Token kinds that are disjoint, from counts that may lie inside each other.

use super::Usage;
use super::format::{Format, Place};

/// The counts of one usage object, as they stand there.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Counts {
    pub input: Option<i64>,
    pub more_input: i64,
    pub cache_read: i64,
    pub cache_write: i64,
    pub cache_write_1h: i64,
    pub output: i64,
    pub reasoning: i64,
    pub audio: MediumCounts,
    pub image: MediumCounts,
    pub video: MediumCounts,
    pub total: Option<i64>,
}

/// Those of tokens that are no text.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct MediumCounts {
    pub input: i64,
    /// `None`: how much of what is cached is of the medium is not said.
    pub cached: Option<i64>,
    pub more: i64,
    pub output: i64,
}

/// Where the parts lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Places {
    cached: Place,
    reasoned: Place,
    audio: Place,
    more: Place,
}

/// The kinds of a usage. A host may put a count elsewhere than its format declares, so the provider's total decides where it
/// can: the first reading that adds up to it holds, the declared one before all others. (Some models report more reasoning
/// than output, inside it.)
pub(super) fn settle(format: &Format, counts: &Counts) -> Usage {
    let untold = match counts.total {
        Some(total) if format.hides_reasoning && counts.reasoning == 0 => {
            total - counts.input() - counts.output
        }
        _ => 0,
    };
    let counts = &Counts { reasoning: counts.reasoning + untold.max(0), ..*counts };
    let declared =
        Places { cached: format.cached, reasoned: format.reasoned, audio: format.heard, more: format.more };
    let places = match counts.total {
        None => None,
        Some(total) => declared.and_others().find(|places| {
            let is_inside = places.reasoned == Place::Inside && declared.reasoned != Place::Inside;
            counts.fit(places)
                && (!is_inside || counts.reasoning <= counts.output)
                && counts.sum(places) == total
        }),
    };
    let places = places.unwrap_or(match declared.cached {
        // More cached tokens than input cannot lie inside it.
        Place::Inside if counts.cache_read + counts.cache_write > counts.input() => {
            Places { cached: Place::Beside, ..declared }
        }
        _ => declared,
    });
    counts.kinds(&places)
}

impl Places {
    /// These, and those with one or more of them elsewhere. A total without the cached tokens does not say that they are
    /// inside: it may leave them out.
    fn and_others(self) -> impl Iterator<Item = Self> {
        (0..8_u8).map(move |moved| Self {
            cached: self.cached.moved(moved & 1 != 0 && self.cached == Place::Inside),
            reasoned: self.reasoned.moved(moved & 2 != 0),
            audio: self.audio.moved(moved & 4 != 0),
            more: self.more,
        })
    }
}

impl Place {
    fn moved(self, moved: bool) -> Self {
        match self {
            Self::Inside if moved => Self::Beside,
            Self::Beside if moved => Self::Inside,
            place => place,
        }
    }

    fn counted_by_total(self, part: i64) -> i64 {
        if self == Self::Beside { part } else { 0 }
    }
}

impl MediumCounts {
    fn plus(&self, other: &Self) -> Self {
        Self {
            input: self.input + other.input,
            cached: both(self.cached, other.cached),
            more: self.more + other.more,
            output: self.output + other.output,
        }
    }
}

fn both(one: Option<i64>, other: Option<i64>) -> Option<i64> {
    one.or(other).map(|_| one.unwrap_or_default() + other.unwrap_or_default())
}

impl Counts {
    /// These counts and those of another pass of the same request.
    pub fn plus(&self, other: &Self) -> Self {
        Self {
            input: both(self.input, other.input),
            more_input: self.more_input + other.more_input,
            cache_read: self.cache_read + other.cache_read,
            cache_write: self.cache_write + other.cache_write,
            cache_write_1h: self.cache_write_1h + other.cache_write_1h,
            output: self.output + other.output,
            reasoning: self.reasoning + other.reasoning,
            audio: self.audio.plus(&other.audio),
            image: self.image.plus(&other.image),
            video: self.video.plus(&other.video),
            total: both(self.total, other.total),
        }
    }

    fn input(&self) -> i64 {
        self.input.unwrap_or_default()
    }

    /// Whether the parts of the input that lie inside are not more than it. The same tokens can be written and read.
    fn fit(&self, places: &Places) -> bool {
        let cached = places.cached != Place::Inside || self.cache_read.max(self.cache_write) <= self.input();
        cached
            && (places.audio != Place::Inside
                || self.audio.input <= self.input() + self.cache_read + self.cache_write)
    }

    /// What the total should be.
    fn sum(&self, places: &Places) -> i64 {
        let cached = places.cached.counted_by_total(self.cache_read + self.cache_write);
        let reasoning = places.reasoned.counted_by_total(self.reasoning);
        let audio = places.audio.counted_by_total(self.audio.input);
        let more = places.more.counted_by_total(self.more_input);
        self.input() + more + self.output + cached + reasoning + audio
    }

    fn kinds(&self, places: &Places) -> Usage {
        let (mut cache_write, mut fresh) = (self.cache_write, self.input());
        if places.cached == Place::Inside {
            // Tokens that are counted as written and as read were read.
            if self.cache_read + cache_write > fresh {
                cache_write -= self.cache_read.min(cache_write);
            }
            fresh -= self.cache_read + cache_write;
        }
        let cached_inside = self.input() - fresh;
        // How much of what is cached is of a medium is not always said: then of the medium is what cannot be cached.
        let uncached = |medium: &MediumCounts| match medium.cached {
            Some(cached) if cached_inside > 0 => medium.input.saturating_sub(cached).max(0),
            _ => medium.input.saturating_sub(cached_inside).max(0),
        };
        let cached = |medium: &MediumCounts| medium.cached.unwrap_or_default().min(self.cache_read);
        let (audio, beside) = match places.audio {
            Place::Inside => (uncached(&self.audio), 0),
            Place::Beside | Place::Apart => (self.audio.input, self.audio.input),
        };
        let prompt = fresh + beside + self.more_input;
        let completion = match places.reasoned {
            Place::Inside => self.output,
            Place::Beside | Place::Apart => self.output + self.reasoning,
        };
        let sum = prompt + self.cache_read + cache_write + completion;
        Usage {
            prompt_tokens: prompt,
            cache_read_tokens: self.cache_read,
            cache_write_tokens: cache_write,
            cache_write_1h_tokens: self.cache_write_1h.min(cache_write),
            completion_tokens: completion,
            reasoning_tokens: self.reasoning.min(completion),
            prompt_audio_tokens: (audio + self.audio.more).min(prompt),
            prompt_image_tokens: (uncached(&self.image) + self.image.more).min(prompt),
            prompt_video_tokens: (uncached(&self.video) + self.video.more).min(prompt),
            cache_read_audio_tokens: cached(&self.audio),
            cache_read_image_tokens: cached(&self.image),
            completion_audio_tokens: self.audio.output.min(completion),
            completion_image_tokens: self.image.output.min(completion),
            completion_video_tokens: self.video.output.min(completion),
            provider_total: self.total,
            unaccounted_tokens: self.total.map_or(0, |total| total - sum),
            // Unknown is not zero.
            is_partial: self.input.is_none(),
            ..Usage::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::parse;
    use serde_json::{Value, json};

    /// Prompt, read, written, completion and reasoning, and what is unaccounted.
    fn kinds(provider: &str, response: &Value) -> [i64; 6] {
        let usage = parse(provider, response).unwrap().remove(0);
        [
            usage.prompt_tokens,
            usage.cache_read_tokens,
            usage.cache_write_tokens,
            usage.completion_tokens,
            usage.reasoning_tokens,
            usage.unaccounted_tokens,
        ]
    }

    fn chat(prompt: i64, cached: i64, completion: i64, reasoning: i64, total: Option<i64>) -> [i64; 6] {
        let usage = json!({"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": total,
            "prompt_tokens_details": {"cached_tokens": cached},
            "completion_tokens_details": {"reasoning_tokens": reasoning}});
        kinds("openai", &json!({"usage": usage}))
    }

    #[test]
    fn the_total_tells_where_cached_tokens_lie() {
        assert_eq!(chat(4020, 4012, 4, 0, Some(4024)), [8, 4012, 0, 4, 0, 0], "inside");
        assert_eq!(chat(12, 1028, 250, 0, Some(1290)), [12, 1028, 0, 250, 0, 0], "beside");
        assert_eq!(chat(50, 40, 10, 0, Some(100)), [50, 40, 0, 10, 0, 0], "beside, if fewer");
        assert_eq!(chat(7, 163, 1, 0, Some(8)), [7, 163, 0, 1, 0, -163], "not in the total");
        assert_eq!(chat(7, 163, 1, 0, None), [7, 163, 0, 1, 0, 0], "no total");
        assert_eq!(chat(7, 163, 1, 0, Some(99)), [7, 163, 0, 1, 0, -72], "no reading of the total");
        assert_eq!(chat(50, 40, 10, 0, Some(75)), [10, 40, 0, 10, 0, 15], "a total that has more");
    }

    #[test]
    fn the_total_tells_where_reasoning_lies() {
        assert_eq!(chat(10, 0, 30, 20, Some(40)), [10, 0, 0, 30, 20, 0], "inside");
        assert_eq!(chat(10, 0, 30, 20, Some(60)), [10, 0, 0, 50, 20, 0], "beside");
        assert_eq!(chat(10, 4, 30, 20, Some(64)), [10, 4, 0, 50, 20, 0], "both beside");
        assert_eq!(chat(10, 0, 16, 19, Some(26)), [10, 0, 0, 16, 16, 0], "more than its whole");
        assert_eq!(chat(27, 0, 45, 504, Some(576)), [27, 0, 0, 549, 504, 0], "beside, if more");
        assert_eq!(chat(10, 4, 0, 50, Some(60)), [6, 4, 0, 50, 50, 0], "nothing but reasoning");
        let xai = json!({"usage": {"prompt_tokens": 10, "completion_tokens": 30, "total_tokens": 40,
            "completion_tokens_details": {"reasoning_tokens": 20}}});
        assert_eq!(kinds("xai", &xai), [10, 0, 0, 30, 20, 0], "declared beside, and inside");
        let more = json!({"usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15,
            "completion_tokens_details": {"reasoning_tokens": 20}}});
        assert_eq!(
            kinds("xai", &more),
            [10, 0, 0, 25, 20, -20],
            "declared beside, and too much to be inside"
        );
    }

    #[test]
    fn what_the_total_of_gemini_has_beyond_its_counts_is_reasoning() {
        let read = |provider, reasoning: Option<i64>, total: i64| {
            let usage = json!({"prompt_tokens": 10, "completion_tokens": 20, "total_tokens": total,
                "completion_tokens_details": {"reasoning_tokens": reasoning}});
            kinds(provider, &json!({"usage": usage}))
        };
        assert_eq!(read("gemini", None, 80), [10, 0, 0, 70, 50, 0]);
        assert_eq!(read("gemini", Some(50), 80), [10, 0, 0, 70, 50, 0], "said");
        assert_eq!(read("gemini", None, 25), [10, 0, 0, 20, 0, -5], "a total that has less");
        assert_eq!(read("openai", None, 80), [10, 0, 0, 20, 0, 50], "nobody else's");
    }

    #[test]
    fn without_a_total_the_declared_place_holds() {
        let details = json!({"prompt_tokens": 10, "completion_tokens": 5,
            "prompt_tokens_details": {"cached_tokens": 4, "audio_tokens": 90},
            "completion_tokens_details": {"reasoning_tokens": 3}});
        let of = |provider| kinds(provider, &json!({"usage": details}));
        assert_eq!(of("openai"), [6, 4, 0, 5, 3, 0]);
        assert_eq!(of("mistral"), [96, 4, 0, 5, 3, 0]);
        assert_eq!(of("xai"), [6, 4, 0, 8, 3, 0]);
    }

    #[test]
    fn a_total_without_cached_tokens_does_not_put_them_inside() {
        let converse = json!({"usage": {"inputTokens": 50, "outputTokens": 5, "cacheReadInputTokens": 20,
            "totalTokens": 55}});
        assert_eq!(kinds("bedrock", &converse), [50, 20, 0, 5, 0, -20]);
    }
}
