// Files of JSON objects, one a line, that people write by hand.
#ifndef ONDINE_SRC_ENGINE_JSON_LINES_H_
#define ONDINE_SRC_ENGINE_JSON_LINES_H_

#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "ondine/result.h"

namespace ondine::engine {

// Gives each object to `take`, which returns false where it is not what it should be; blank lines
// do not count. `form` shows in messages what a line looks like. Errors: kNotFound, kIo, kCorrupt
// (names the line), kInvalidArgument (no line, or far more than people write).
Status ReadJsonLines(const std::string& path, const std::string& form,
                     const std::function<bool(const nlohmann::json& object)>& take);

// A text field; nullopt where it is none.
std::optional<std::string> TextOf(const nlohmann::json& object, const char* key);

}  // namespace ondine::engine

#endif  // ONDINE_SRC_ENGINE_JSON_LINES_H_
