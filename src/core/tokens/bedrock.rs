//! The formats of Amazon Bedrock, beside those that model families bring with them.
//!
//! Sources: Amazon Bedrock API reference, Converse, `TokenUsage`; InvokeModel, response headers; user guide, inference
//! parameters of the model families.

use super::format::Place::Beside;
use super::format::{BASE, Format};

/// Converse and its stream; also Nova's own answers, which name the cached counts by `…TokenCount`.
pub(super) const BEDROCK_CONVERSE: Format = Format {
    usage: &["usage", "metadata/usage"],
    input: &["inputTokens"],
    output: &["outputTokens"],
    cache_read: &["cacheReadInputTokens", "cacheReadInputTokenCount"],
    cached: Beside,
    cache_write: &["cacheWriteInputTokens", "cacheWriteInputTokenCount"],
    cache_write_1h: &["cacheDetails/1h"],
    total: &["totalTokens"],
    body: &["", "metadata"],
    id: &["ResponseMetadata/RequestId"],
    tier: &["serviceTier/type", "performanceConfig/latency"],
    hint: "Of a Converse stream, pass every event: the last one, metadata, has the usage.",
    ..BASE
};

/// What Bedrock adds to the last event of any model's stream.
pub(super) const BEDROCK_METRICS: Format = Format {
    events: &["", "message_stop", "completion", "stream-end"],
    usage: &["amazon-bedrock-invocationMetrics"],
    input: &["inputTokenCount"],
    output: &["outputTokenCount"],
    cache_read: &["cacheReadInputTokenCount"],
    cache_write: &["cacheWriteInputTokenCount"],
    hint: "Of an InvokeModel stream, pass the decoded events, the last one above all.",
    ..BEDROCK_CONVERSE
};

/// The counts of a response's headers, for models whose bodies have none.
pub(super) const BEDROCK_HEADERS: Format = Format {
    usage: &["headers", "ResponseMetadata/HTTPHeaders"],
    input: &["x-amzn-bedrock-input-token-count"],
    output: &["x-amzn-bedrock-output-token-count"],
    cache_read: &["x-amzn-bedrock-cache-read-input-token-count"],
    cache_write: &["x-amzn-bedrock-cache-write-input-token-count"],
    id: &["headers/x-amzn-requestid", "ResponseMetadata/RequestId"],
    hint: "Of an InvokeModel response without usage, pass its headers: {\"headers\": {\"x-amzn-bedrock-input-token-count\": …}}.",
    ..BEDROCK_CONVERSE
};
pub(super) const BEDROCK_TITAN: Format = Format {
    input: &["inputTextTokenCount"],
    output: &["results/0/tokenCount", "totalOutputTextTokenCount"],
    ..BASE
};
pub(super) const BEDROCK_LLAMA: Format =
    Format { input: &["prompt_token_count"], output: &["generation_token_count"], ..BASE };
