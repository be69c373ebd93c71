// Shows what a pot kept of a text.
#ifndef ONDINE_SRC_CLI_EXPLAIN_H_
#define ONDINE_SRC_CLI_EXPLAIN_H_

#include <nlohmann/json.hpp>
#include <string>

#include "ondine/session.h"

namespace ondine::cli {

// On standard output: surviving passages, the brighter the more heads hold them; what was dropped
// is counted. Without colours where standard output is no terminal.
Status PrintExplanation(const Session& session, TextSource& text);

// {"tokens", "held" (by a head at least), "passages": [{"share": of the heads, rounded up to
// fifths, "tokens", "text"}]}; of what was dropped without its text.
Result<nlohmann::json> ExplanationToJson(const Session& session, TextSource& text);

// As a page: the whole text, the darker its background the more heads hold it.
Status WriteExplanation(const Session& session, TextSource& text, const std::string& path);

}  // namespace ondine::cli

#endif  // ONDINE_SRC_CLI_EXPLAIN_H_
