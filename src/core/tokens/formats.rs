//! The formats in which providers report usage: one table of where each keeps its counts, and whether its input has cached
//! tokens and its output has reasoning inside.
//!
//! Sources: OpenAI API reference (chat, completions, embeddings, responses, images, audio, runs, realtime: `usage`); Claude
//! API reference, Messages, `usage`; Gemini API reference, `UsageMetadata`, Live, Interactions; API references of Cohere,
//! Ollama, Mistral, xAI, DeepSeek, Perplexity, OpenRouter, watsonx and text-generation-inference; semantic conventions of
//! OpenTelemetry for generative AI, and of OpenInference.

use super::format::Place::{Apart, Beside, Inside};
use super::format::{BASE, Cost, Format, Medium, NONE, Takes};

/// Chat completions, completions, embeddings, responses, images, speech, transcriptions, runs of an assistant. Predicted tokens,
/// accepted or rejected, are inside the output.
pub(super) const OPENAI: Format = Format {
    events: &[
        "",
        "response.completed",
        "response.incomplete",
        "response.failed",
        "transcript.text.done",
        "image_generation.completed",
        "image_edit.completed",
    ],
    usage: &["usage", "response/usage", "data/usage", "x_groq/usage"],
    input: &["prompt_tokens", "input_tokens"],
    output: &["completion_tokens", "output_tokens"],
    cache_read: &[
        "prompt_tokens_details/cached_tokens",
        "input_tokens_details/cached_tokens",
        "prompt_token_details/cached_tokens",
        "prompt_cache_hit_tokens",
        "num_cached_tokens",
        "cached_tokens",
        "cache_read_input_tokens",
        // Of a realtime response, without the event that it came in.
        "input_token_details/cached_tokens",
    ],
    cached: Inside,
    cache_write: &[
        "prompt_tokens_details/cache_write_tokens",
        "input_tokens_details/cache_write_tokens",
        "cache_creation_input_tokens",
        "prompt_tokens_details/cache_creation_tokens",
    ],
    cache_write_1h: &[
        "cache_creation/ephemeral_1h_input_tokens",
        // LiteLLM's, of Claude.
        "prompt_tokens_details/cache_creation_token_details/ephemeral_1h_input_tokens",
        "input_tokens_details/cache_write_tokens_details/ttl_12h_tokens",
        "prompt_tokens_details/cache_write_tokens_details/ttl_12h_tokens",
    ],
    cache_write_24h: &["cache_creation/ephemeral_24h_input_tokens"],
    reasoning: &["completion_tokens_details/reasoning_tokens", "output_tokens_details/reasoning_tokens"],
    reasoned: Inside,
    audio: Medium {
        input: &["prompt_tokens_details/audio_tokens", "input_token_details/audio_tokens"],
        cached: &["input_token_details/cached_tokens_details/audio_tokens"],
        output: &["completion_tokens_details/audio_tokens", "output_token_details/audio_tokens"],
        ..NONE
    },
    image: Medium {
        input: &[
            "prompt_tokens_details/image_tokens",
            "input_tokens_details/image_tokens",
            "input_token_details/image_tokens",
        ],
        cached: &["input_token_details/cached_tokens_details/image_tokens"],
        output: &["completion_tokens_details/image_tokens", "output_tokens_details/image_tokens"],
        ..NONE
    },
    video: Medium {
        input: &["prompt_tokens_details/video_tokens", "input_tokens_details/video_tokens"],
        output: &["completion_tokens_details/video_tokens", "output_tokens_details/video_tokens"],
        ..NONE
    },
    total: &["total_tokens"],
    body: &["response", "data", ""],
    finish: "choices/0/finish_reason",
    hint: "Pass the whole response body. Request a chat stream with stream_options.include_usage: \
        \"stream_options\": {\"include_usage\": true}, and pass every event, the last one above all. \
        A transcription billed by duration has no tokens.",
    ..BASE
};

/// The output of speech is audio, which it does not say.
pub(super) const SPEECH: Format = Format {
    events: &["speech.audio.done"],
    usage: &["usage"],
    input: &["input_tokens"],
    output: &["output_tokens"],
    audio: Medium { output: &["output_tokens"], ..NONE },
    ..OPENAI
};

/// Images that the model of a tool made in a response, and that the response's own usage leaves out.
pub(super) const IMAGE_TOOL: Format = Format {
    takes: Takes::Each,
    events: &["", "response.completed", "response.incomplete", "response.failed"],
    usage: &["tool_usage/image_gen", "response/tool_usage/image_gen"],
    // No other tool has a model.
    model: &[
        "tools/0/model",
        "tools/1/model",
        "tools/2/model",
        "tools/3/model",
        "tools/4/model",
        "tools/5/model",
        "tools/6/model",
        "tools/7/model",
    ],
    tool: Some("image_generation"),
    id: &[],
    ..OPENAI
};

/// Gemini's own endpoint has thoughts in the total and in no other count.
pub(super) const GEMINI_OPENAI: Format = Format { hides_reasoning: true, ..OPENAI };

/// Vertex AI says beside the counts what throughput was used.
pub(super) const VERTEX_OPENAI: Format =
    Format { tier: &["service_tier", "usage/extra_properties/google/traffic_type"], ..OPENAI };

/// Grok on Azure leaves what the host puts before the prompt out of `prompt_tokens` and of the total, yet counts it as cached:
/// 163 beside a prompt of 7 and a total of 8. The counts do not show that where the prompt is the longer one.
pub(super) const AZURE_GROK: Format = Format { models: "grok", cached: Apart, ..OPENAI };

/// A session: every response, and every transcription of what was said, is a request.
pub(super) const REALTIME: Format = Format {
    takes: Takes::Each,
    events: &["response.done"],
    openings: &["session.created", "session.updated"],
    usage: &["response/usage", "usage"],
    input: &["input_tokens"],
    output: &["output_tokens"],
    cache_read: &["input_token_details/cached_tokens"],
    cached: Inside,
    audio: Medium {
        input: &["input_token_details/audio_tokens"],
        cached: &["input_token_details/cached_tokens_details/audio_tokens"],
        output: &["output_token_details/audio_tokens"],
        ..NONE
    },
    image: Medium {
        input: &["input_token_details/image_tokens"],
        cached: &["input_token_details/cached_tokens_details/image_tokens"],
        ..NONE
    },
    total: &["total_tokens"],
    body: &["response", "session", ""],
    id: &["id", "response_id"],
    hint: "Of a realtime session, pass every event the server sent: session.created, response.done and the rest.",
    ..BASE
};
pub(super) const REALTIME_TRANSCRIPTION: Format = Format {
    events: &["conversation.item.input_audio_transcription.completed"],
    usage: &["usage"],
    body: &["session", ""],
    model: &["input_audio_transcription/model", "audio/input/transcription/model"],
    id: &["item_id"],
    ..REALTIME
};

/// xAI's own chat: reasoning on top of the completion.
pub(super) const XAI_CHAT: Format = Format {
    usage: &["usage"],
    input: &["prompt_tokens"],
    output: &["completion_tokens"],
    cache_read: &["prompt_tokens_details/cached_tokens", "cached_prompt_text_tokens"],
    reasoning: &["completion_tokens_details/reasoning_tokens", "reasoning_tokens"],
    reasoned: Beside,
    cost: Cost::Ticks("cost_in_usd_ticks"),
    ..OPENAI
};
pub(super) const XAI: Format = Format { cost: Cost::Ticks("cost_in_usd_ticks"), ..OPENAI };

/// Voxtral's audio stands on top of the prompt.
pub(super) const MISTRAL: Format =
    Format { heard: Beside, tier: &["service_tier", "usage/service_tier"], ..OPENAI };

pub(super) const OPENROUTER: Format = Format { cost: Cost::Dollars("cost"), ..OPENAI };

/// Of Gemini the gateway leaves the thoughts out of the completion and of the total, yet bills them.
pub(super) const VERCEL_GEMINI: Format = Format { models: "google/", reasoned: Apart, ..OPENROUTER };

/// Deep research reasons and reads citations beside prompt, completion and total.
pub(super) const PERPLEXITY: Format = Format {
    reasoning: &["reasoning_tokens"],
    reasoned: Apart,
    more_input: &["citation_tokens"],
    more: Apart,
    cost: Cost::Dollars("cost/total_cost"),
    ..OPENAI
};

/// Messages. The input counts are disjoint, the output has thinking inside, no total is given.
pub(super) const ANTHROPIC: Format = Format {
    takes: Takes::Messages,
    events: &["message", "message_delta"],
    usage: &["usage"],
    input: &["input_tokens"],
    output: &["output_tokens"],
    cache_read: &["cache_read_input_tokens"],
    cached: Beside,
    cache_write: &["cache_creation_input_tokens"],
    cache_write_5m: &["cache_creation/ephemeral_5m_input_tokens"],
    cache_write_1h: &["cache_creation/ephemeral_1h_input_tokens"],
    reasoning: &["output_tokens_details/thinking_tokens"],
    reasoned: Inside,
    hint: "Of Claude, pass the whole message with its \"type\": \"message\", or every event of the stream: message_start, \
        message_delta and the rest.",
    ..BASE
};

/// `generateContent` and its stream, of the Gemini API and of Vertex AI. Tool-use prompts lie beside the prompt.
pub(super) const GEMINI: Format = Format {
    usage: &["usageMetadata"],
    input: &["promptTokenCount"],
    output: &["candidatesTokenCount"],
    cache_read: &["cachedContentTokenCount"],
    cached: Inside,
    reasoning: &["thoughtsTokenCount"],
    reasoned: Beside,
    more_input: &["toolUsePromptTokenCount"],
    audio: Medium {
        input: &["promptTokensDetails/AUDIO"],
        cached: &["cacheTokensDetails/AUDIO"],
        more: &["toolUsePromptTokensDetails/AUDIO"],
        output: &["candidatesTokensDetails/AUDIO"],
    },
    image: Medium {
        input: &["promptTokensDetails/IMAGE"],
        cached: &["cacheTokensDetails/IMAGE"],
        more: &["toolUsePromptTokensDetails/IMAGE"],
        output: &["candidatesTokensDetails/IMAGE"],
    },
    video: Medium {
        input: &["promptTokensDetails/VIDEO"],
        cached: &["cacheTokensDetails/VIDEO"],
        more: &["toolUsePromptTokensDetails/VIDEO"],
        output: &["candidatesTokensDetails/VIDEO"],
    },
    total: &["totalTokenCount"],
    model: &["modelVersion"],
    id: &["responseId"],
    tier: &["usageMetadata/serviceTier", "usageMetadata/trafficType"],
    finish: "candidates/0/finishReason",
    hint: "Of a Gemini response, pass the whole body, usageMetadata included; of a stream or a live session, every message.",
    ..BASE
};

/// A Live session: one request a turn, and thoughts in no sum.
pub(super) const GEMINI_LIVE: Format = Format {
    takes: Takes::EachTurn,
    tell: "responseTokenCount",
    output: &["responseTokenCount"],
    reasoned: Apart,
    audio: Medium { output: &["responseTokensDetails/AUDIO"], ..GEMINI.audio },
    image: Medium { output: &["responseTokensDetails/IMAGE"], ..GEMINI.image },
    video: Medium { output: &["responseTokensDetails/VIDEO"], ..GEMINI.video },
    finish: "",
    ..GEMINI
};

pub(super) const GEMINI_INTERACTIONS: Format = Format {
    events: &[
        "",
        "interaction.completed",
        "interaction.complete",
        "interaction.failed",
        "interaction.cancelled",
    ],
    usage: &["usage", "interaction/usage"],
    input: &["total_input_tokens"],
    output: &["total_output_tokens"],
    cache_read: &["total_cached_tokens"],
    cached: Inside,
    reasoning: &["total_thought_tokens", "total_reasoning_tokens"],
    reasoned: Beside,
    more_input: &["total_tool_use_tokens"],
    audio: Medium {
        input: &["input_tokens_by_modality/audio"],
        cached: &["cached_tokens_by_modality/audio"],
        more: &["tool_use_tokens_by_modality/audio"],
        output: &["output_tokens_by_modality/audio"],
    },
    image: Medium {
        input: &["input_tokens_by_modality/image"],
        cached: &["cached_tokens_by_modality/image"],
        more: &["tool_use_tokens_by_modality/image"],
        output: &["output_tokens_by_modality/image"],
    },
    video: Medium {
        input: &["input_tokens_by_modality/video"],
        cached: &["cached_tokens_by_modality/video"],
        more: &["tool_use_tokens_by_modality/video"],
        output: &["output_tokens_by_modality/video"],
    },
    total: &["total_tokens"],
    body: &["interaction", ""],
    ..BASE
};

/// What is billed. The other counts have the preamble that Cohere adds and does not bill.
pub(super) const COHERE: Format = Format {
    events: &["", "stream-end", "message-end"],
    openings: &["message-start"],
    usage: &["usage", "meta", "response/meta", "delta/usage"],
    input: &["billed_units/input_tokens"],
    output: &["billed_units/output_tokens"],
    reasoning: &["tokens/reasoning_tokens"],
    reasoned: Inside,
    more_input: &["billed_units/image_tokens"],
    image: Medium { more: &["billed_units/image_tokens"], ..NONE },
    body: &["response", ""],
    id: &["id", "response_id", "generation_id"],
    hint: "Of a Cohere stream, pass every event: the last one, stream-end or message-end, has the usage.",
    ..BASE
};

/// The last line of an answer; what was in the cache is not reported, and can be missing from the prompt.
pub(super) const OLLAMA: Format = Format {
    input: &["prompt_eval_count"],
    output: &["eval_count"],
    hint: "Of an Ollama stream, pass every line: the last one, \"done\": true, has the usage.",
    ..BASE
};

/// Its answers in OpenAI's shape, whose ids it draws from some hundreds: they tell no two calls apart.
pub(super) const OLLAMA_OPENAI: Format = Format { id: &[], ..OPENAI };

pub(super) const TGI: Format = Format {
    usage: &["details"],
    input: &["input_length"],
    output: &["generated_tokens"],
    hint: "Of text-generation-inference, request \"details\": true.",
    ..BASE
};

pub(super) const WATSONX_TEXT: Format = Format {
    takes: Takes::Greatest,
    usage: &["results/0"],
    input: &["input_token_count"],
    output: &["generated_token_count"],
    model: &["model_id"],
    ..BASE
};

/// A span's attributes by OpenTelemetry's conventions, the current names before the older ones.
pub(super) const GEN_AI: Format = Format {
    input: &["gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens"],
    output: &["gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens"],
    cache_read: &[
        "gen_ai.usage.cache_read.input_tokens",
        "gen_ai.usage.cache_read_input_tokens",
        "gen_ai.usage.input_tokens.cached",
    ],
    cached: Inside,
    cache_write: &[
        "gen_ai.usage.cache_creation.input_tokens",
        "gen_ai.usage.cache_creation_input_tokens",
        "gen_ai.usage.cache_write_input_tokens",
        "gen_ai.usage.input_tokens.cache_write",
    ],
    reasoning: &[
        "gen_ai.usage.reasoning.output_tokens",
        "gen_ai.usage.reasoning_tokens",
        "gen_ai.usage.output_tokens.reasoning",
    ],
    reasoned: Inside,
    total: &["gen_ai.usage.total_tokens", "llm.usage.total_tokens"],
    model: &["gen_ai.response.model", "gen_ai.request.model"],
    tier: &[
        "openai.response.service_tier",
        "gen_ai.openai.response.service_tier",
        "gen_ai.response.service_tier",
    ],
    hint: "Pass spans, or an OTLP/JSON export, with the attributes of model calls.",
    ..BASE
};
pub(super) const OPENINFERENCE: Format = Format {
    input: &["llm.token_count.prompt"],
    output: &["llm.token_count.completion"],
    cache_read: &["llm.token_count.prompt_details.cache_read"],
    cache_write: &["llm.token_count.prompt_details.cache_write"],
    reasoning: &["llm.token_count.completion_details.reasoning"],
    audio: Medium {
        input: &["llm.token_count.prompt_details.audio"],
        output: &["llm.token_count.completion_details.audio"],
        ..NONE
    },
    total: &["llm.token_count.total"],
    model: &["llm.model_name", "embedding.model_name"],
    ..GEN_AI
};
