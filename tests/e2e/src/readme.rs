//! Reads README.md: its examples, which are executed, and its table of functions.

/// A fenced block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// What stands behind the opening fence, such as `sql`.
    pub language: String,
    pub text: String,
    /// The line of the opening fence, from 1.
    pub line: usize,
}

/// A block of SQL, and the block right after it where that shows the result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Example {
    pub sql: Block,
    /// A `json` or `text` block.
    pub result: Option<Block>,
}

/// The fenced blocks of a Markdown text, in order.
pub fn blocks(markdown: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut lines = markdown.lines().zip(1..);
    while let Some((opening, line)) = lines.next() {
        let indented = opening.trim_start();
        let indent = opening.len() - indented.len();
        let fence: String = indented.chars().take_while(|letter| *letter == '`').collect();
        if fence.len() < 3 {
            continue;
        }
        let language = indented[fence.len()..].split_whitespace().next().unwrap_or_default().to_owned();
        let body: Vec<&str> = lines
            .by_ref()
            .map(|(line, _)| line)
            .take_while(|line| line.trim() != fence)
            // A block in a list is indented as its fence is.
            .map(|line| line.get(indent..).filter(|_| line[..indent].trim().is_empty()).unwrap_or(line))
            .collect();
        blocks.push(Block { language, text: body.join("\n"), line });
    }
    blocks
}

/// The blocks of SQL with the results that follow them.
pub fn examples(markdown: &str) -> Vec<Example> {
    let blocks = blocks(markdown);
    let shown = |next: Option<&Block>| {
        next.filter(|block| matches!(block.language.as_str(), "json" | "text")).cloned()
    };
    let with_next = blocks.iter().enumerate().filter(|(_, block)| block.language == "sql");
    with_next.map(|(place, sql)| Example { sql: sql.clone(), result: shown(blocks.get(place + 1)) }).collect()
}

/// The names before the parentheses in the first column of the tables under a heading; `None` without heading or names.
pub fn table_of(markdown: &str, heading: &str) -> Option<Vec<String>> {
    let level = heading.split(' ').next().unwrap_or_default().len();
    let is_heading = |line: &&str| {
        let hashes = line.len() - line.trim_start_matches('#').len();
        (1..=level).contains(&hashes) && line[hashes..].starts_with(' ')
    };
    let section = markdown.lines().skip_while(|line| line.trim_end() != heading).skip(1);
    let rows = section.take_while(|line| !is_heading(line)).filter_map(|line| {
        let cell = line.trim().strip_prefix('|')?.split('|').next()?;
        let name: &str = cell.split_once('(')?.0.trim().trim_start_matches('`');
        let name = name.rsplit('.').next().unwrap_or(name);
        let is_name =
            !name.is_empty() && name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_');
        is_name.then(|| name.to_owned())
    });
    let names: Vec<String> = rows.collect();
    (!names.is_empty()).then_some(names)
}

/// Whether psql printed what the block shows: JSON as a value, the last one printed; text line by line, without the blanks
/// around a line.
pub fn shows(result: &Block, printed: &str) -> bool {
    let lines = |text: &str| -> Vec<String> {
        text.trim_matches('\n').lines().map(|line| line.trim().to_owned()).collect()
    };
    if result.language == "text" {
        return lines(&result.text) == lines(printed);
    }
    let parse = |text: &str| serde_json::from_str::<serde_json::Value>(text).ok();
    let printed_lines: Vec<&str> = printed.lines().collect();
    let last = (0..printed_lines.len()).find_map(|skipped| parse(&printed_lines[skipped..].join("\n")));
    last.is_some() && last == parse(&result.text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const README: &str = r#"# Title
Text with `code` and ``` in a line.

```sql
SELECT 1;
```

It answers

```json
{"data": [150, 18]}
```
and in a list:
1. first
   ```sql
   SELECT 'a'
     AS b;
   ```
   ```sh
   make demo
   ```
````sql
SELECT '
```';
````
```text
```

## Functions
| Function | Answer |
|---|---|
| `maintain(months_ahead)` | partitions |
| `llm_usage.app_usage(app_id, …)` | `json`, see `other()` |
| no function | x |

### More
| record_usage(model) | y |
## Other
| `not_listed()` | z |
"#;

    #[test]
    fn blocks_are_found_with_their_language_and_line() {
        let blocks = blocks(README);
        let seen: Vec<(&str, usize)> =
            blocks.iter().map(|block| (block.language.as_str(), block.line)).collect();
        assert_eq!(seen, [("sql", 4), ("json", 10), ("sql", 15), ("sh", 19), ("sql", 22), ("text", 26)]);
        assert_eq!(blocks[2].text, "SELECT 'a'\n  AS b;");
        assert_eq!(blocks[4].text, "SELECT '\n```';");
    }

    #[test]
    fn a_result_belongs_to_the_sql_right_before_it() {
        let results: Vec<Option<String>> =
            examples(README).into_iter().map(|example| Some(example.result?.language)).collect();
        assert_eq!(results, [Some("json".into()), None, Some("text".into())]);
    }

    #[test]
    fn the_table_is_that_of_the_section() {
        let listed = table_of(README, "## Functions");
        assert_eq!(listed, Some(vec!["maintain".into(), "app_usage".into(), "record_usage".into()]));
        assert_eq!(table_of(README, "## Other"), Some(vec!["not_listed".into()]));
        assert_eq!(table_of(README, "## Nothing"), None);
    }

    #[test]
    fn results_are_compared_as_their_language_says() {
        let block =
            |language: &str, text: &str| Block { language: language.into(), text: text.into(), line: 1 };
        let json = block("json", "{\n  \"data\": [150, 0.10]\n}");
        assert!(shows(&json, "{\"data\":[150,0.10]}\n"));
        assert!(shows(&json, "7\n{\"data\":\n[150,0.10]}\n"));
        assert!(!shows(&json, "{\"data\":[150,0.1]}"), "the digits are those of the document");
        assert!(!shows(&json, ""));
        assert!(!shows(&block("json", "not json"), ""));
        let text = block("text", "a|1\n b|2 ");
        assert!(shows(&text, "a|1\nb|2\n"));
        assert!(!shows(&text, "a|1\n"));
    }
}
