// A reader of JSON (RFC 8259), as far as weight files use it: no \u escapes.
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <vector>

namespace minilm {

struct Json {
    enum class Kind { kNull, kBool, kNumber, kString, kArray, kObject };

    Kind kind = Kind::kNull;
    bool boolean = false;
    double number = 0;
    std::string string;
    std::vector<Json> array;
    std::map<std::string, Json> object;

    // The member of an object, or nullptr.
    const Json* find(const std::string& name) const;
};

// Parse a whole text. Throws Error (MINILM_INVALID_WEIGHTS) that calls the text `what` and says at
// which byte it goes wrong; names that stand twice in an object are refused.
Json parse_json(const char* text, size_t size, const char* what);

}  // namespace minilm
