#include "json.h"

#include <cstring>
#include <locale>
#include <sstream>

#include "error.h"

namespace minilm {

namespace {

constexpr int kMaxDepth = 16;  // of nesting: the parser calls itself

class Parser {
public:
    Parser(const char* text, size_t size, const char* what)
        : begin_(text), at_(text), end_(text + size), what_(what) {}

    Json whole() {
        Json value = parse(0);
        skip_space();
        if (at_ != end_) wrong("text after its end");
        return value;
    }

private:
    [[noreturn]] void wrong(const char* reason) const {
        fail(MINILM_INVALID_WEIGHTS, "%s is not valid JSON: %s at byte %zu", what_, reason,
             static_cast<size_t>(at_ - begin_));
    }

    void skip_space() {
        while (at_ != end_ && std::strchr(" \t\r\n", *at_) && *at_) ++at_;
    }

    bool take(char expected) {
        skip_space();
        if (at_ == end_ || *at_ != expected) return false;
        ++at_;
        return true;
    }

    bool take_word(const char* word) {
        const size_t length = std::strlen(word);
        if (static_cast<size_t>(end_ - at_) < length || std::memcmp(at_, word, length))
            return false;
        at_ += length;
        return true;
    }

    Json parse(int depth) {
        if (depth > kMaxDepth) wrong("too deep a nesting");
        skip_space();
        if (at_ == end_) wrong("an end too early");
        Json value;
        if (*at_ == '{') {
            parse_object(value, depth);
        } else if (*at_ == '[') {
            parse_array(value, depth);
        } else if (*at_ == '"') {
            value.kind = Json::Kind::kString;
            value.string = parse_string();
        } else if (take_word("true") || take_word("false")) {
            value.kind = Json::Kind::kBool;
            value.boolean = at_[-2] == 'u';
        } else if (!take_word("null")) {
            value.kind = Json::Kind::kNumber;
            value.number = parse_number();
        }
        return value;
    }

    void parse_object(Json& value, int depth) {
        value.kind = Json::Kind::kObject;
        ++at_;
        if (take('}')) return;
        do {
            skip_space();
            if (at_ == end_ || *at_ != '"') wrong("no name");
            std::string name = parse_string();
            if (!take(':')) wrong("no colon");
            Json member = parse(depth + 1);
            if (!value.object.emplace(std::move(name), std::move(member)).second) {
                wrong("a name that stands twice");
            }
        } while (take(','));
        if (!take('}')) wrong("no end of an object");
    }

    void parse_array(Json& value, int depth) {
        value.kind = Json::Kind::kArray;
        ++at_;
        if (take(']')) return;
        do value.array.push_back(parse(depth + 1));
        while (take(','));
        if (!take(']')) wrong("no end of an array");
    }

    std::string parse_string() {
        std::string result;
        for (++at_; at_ != end_ && *at_ != '"'; ++at_) {
            if (static_cast<unsigned char>(*at_) < 0x20) wrong("a control character");
            if (*at_ != '\\') {
                result += *at_;
                continue;
            }
            if (++at_ == end_) break;
            static constexpr char kEscapes[] = "\"\"\\\\//b\bf\fn\nr\rt\t";
            const char* escape = kEscapes;
            while (*escape && *escape != *at_) escape += 2;
            if (!*escape) wrong("an unknown escape");
            result += escape[1];
        }
        if (at_ == end_) wrong("no end of a string");
        ++at_;
        return result;
    }

    double parse_number() {
        const char* start = at_;
        while (at_ != end_ && *at_ && std::strchr("+-.0123456789eE", *at_)) ++at_;
        std::istringstream stream(std::string(start, at_));
        stream.imbue(std::locale::classic());  // a point is a point, whatever the program's locale
        double value = 0;
        if (!(stream >> value) || !stream.eof()) wrong("no value");
        return value;
    }

    const char* begin_;
    const char* at_;
    const char* end_;
    const char* what_;
};

}  // namespace

const Json* Json::find(const std::string& name) const {
    const auto found = object.find(name);
    return found == object.end() ? nullptr : &found->second;
}

Json parse_json(const char* text, size_t size, const char* what) {
    return Parser(text, size, what).whole();
}

}  // namespace minilm
