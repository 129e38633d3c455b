//! The providers: their names, and the formats they answer in.

use super::bedrock::*;
use super::format::Format;
use super::formats::*;

/// A provider, the names it is asked for by, and its formats, tried in this order.
pub(super) struct Provider {
    /// Ours, then those of OpenTelemetry (`gen_ai.provider.name`, `gen_ai.system`) and of catalogues.
    pub names: &'static [&'static str],
    /// As in `model_prices`.
    pub vendor: &'static str,
    pub formats: &'static [&'static Format],
}

const OPENAI_LIKE: &[&Format] = &[&OPENAI];

// One provider a line.
#[rustfmt::skip]
pub(super) const PROVIDERS: &[Provider] = &[
    Provider { names: &["openai"], vendor: "openai", formats: &[&OPENAI, &SPEECH, &IMAGE_TOOL, &REALTIME, &REALTIME_TRANSCRIPTION] },
    Provider { names: &["azure", "azure_openai", "azure.ai.openai", "az.ai.openai", "azure.ai.inference", "az.ai.inference"], vendor: "azure", formats: &[&AZURE_GROK, &OPENAI, &SPEECH, &IMAGE_TOOL, &REALTIME, &REALTIME_TRANSCRIPTION, &ANTHROPIC] },
    Provider { names: &["anthropic"], vendor: "anthropic", formats: &[&ANTHROPIC] },
    Provider { names: &["gemini", "google", "gcp.gemini", "gcp.gen_ai"], vendor: "gemini", formats: &[&GEMINI_LIVE, &GEMINI, &GEMINI_INTERACTIONS, &GEMINI_OPENAI] },
    Provider { names: &["vertex_ai", "vertex", "vertexai", "gcp.vertex_ai"], vendor: "vertex_ai", formats: &[&GEMINI_LIVE, &GEMINI, &ANTHROPIC, &VERTEX_OPENAI] },
    Provider { names: &["bedrock", "aws.bedrock", "aws_bedrock", "amazon_bedrock", "aws"], vendor: "bedrock", formats: &[&ANTHROPIC, &BEDROCK_CONVERSE, &OPENAI, &BEDROCK_METRICS, &BEDROCK_TITAN, &BEDROCK_LLAMA, &BEDROCK_HEADERS] },
    Provider { names: &["mistral", "mistral_ai", "mistralai"], vendor: "mistral", formats: &[&MISTRAL] },
    Provider { names: &["cohere"], vendor: "cohere", formats: &[&COHERE] },
    Provider { names: &["deepseek"], vendor: "deepseek", formats: OPENAI_LIKE },
    Provider { names: &["xai", "x_ai", "x.ai"], vendor: "xai", formats: &[&XAI_CHAT, &XAI, &REALTIME, &REALTIME_TRANSCRIPTION] },
    Provider { names: &["groq"], vendor: "groq", formats: OPENAI_LIKE },
    Provider { names: &["together", "together_ai"], vendor: "together_ai", formats: OPENAI_LIKE },
    Provider { names: &["openrouter"], vendor: "openrouter", formats: &[&OPENROUTER] },
    Provider { names: &["ollama"], vendor: "ollama", formats: &[&OLLAMA, &OLLAMA_OPENAI] },
    Provider { names: &["perplexity"], vendor: "perplexity", formats: &[&PERPLEXITY] },
    Provider { names: &["cerebras"], vendor: "cerebras", formats: OPENAI_LIKE },
    Provider { names: &["databricks"], vendor: "databricks", formats: OPENAI_LIKE },
    Provider { names: &["huggingface"], vendor: "huggingface", formats: &[&OPENAI, &TGI] },
    Provider { names: &["watsonx", "ibm.watsonx.ai", "watsonx.ai"], vendor: "watsonx", formats: &[&OPENAI, &WATSONX_TEXT] },
    Provider { names: &["writer"], vendor: "writer", formats: OPENAI_LIKE },
    Provider { names: &["doubleword"], vendor: "doubleword", formats: OPENAI_LIKE },
    Provider { names: &["vercel", "vercel_ai_gateway", "vercel-gateway"], vendor: "vercel_ai_gateway", formats: &[&VERCEL_GEMINI, &OPENROUTER] },
];

/// The names under which spans are taken, whichever provider they tell of.
pub(super) const SPANS: &[&str] = &["opentelemetry", "otel", "otel-genai", "otlp", "openinference"];

/// The provider of a name, whatever its case.
pub(super) fn provider(name: &str) -> Option<&'static Provider> {
    let called = |known: &&str| known.eq_ignore_ascii_case(name);
    PROVIDERS.iter().find(|provider| provider.names.iter().any(called))
}
