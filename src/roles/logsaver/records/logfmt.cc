#include "roles/logsaver/records/logfmt.hpp"

#include "wire/json_scan.hpp"

namespace consort::logsaver {

namespace {

bool is_blank(char c) {
  return static_cast<unsigned char>(c) <= ' ';
}

class LogfmtReader {
 public:
  LogfmtReader(std::string_view text, std::vector<Field>& fields, std::string& scratch)
      : text_(text), fields_(fields), scratch_(scratch) {}

  bool read() {
    bool has_value = false;
    for (skip_blanks(); at_ < text_.size(); skip_blanks()) {
      if (fields_.size() == kLogfmtFieldsMax) return false;
      Field field;
      if (!read_key(field.name)) return false;
      if (at_ < text_.size() && text_[at_] == '=') {
        ++at_;
        if (!read_value(field.value)) return false;
        has_value = true;
      }
      fields_.push_back(field);
    }
    return has_value;
  }

 private:
  void skip_blanks() {
    while (at_ < text_.size() && is_blank(text_[at_])) ++at_;
  }

  bool read_key(std::string_view& key) {
    const std::size_t begin = at_;
    while (at_ < text_.size() && !is_blank(text_[at_]) && text_[at_] != '=') {
      if (text_[at_] == '"') return false;
      ++at_;
    }
    key = text_.substr(begin, at_ - begin);
    return !key.empty();
  }

  bool read_value(std::string_view& value) {
    if (at_ < text_.size() && text_[at_] == '"') return read_quoted(value);
    const std::size_t begin = at_;
    while (at_ < text_.size() && !is_blank(text_[at_])) ++at_;
    value = text_.substr(begin, at_ - begin);
    return true;
  }

  bool read_quoted(std::string_view& value) {
    const std::size_t begin = ++at_;
    bool has_escapes = false;
    for (; at_ < text_.size() && text_[at_] != '"'; ++at_) {
      if (text_[at_] != '\\') continue;
      has_escapes = true;
      ++at_;
    }
    if (at_ >= text_.size()) return false;
    value = text_.substr(begin, at_ - begin);
    ++at_;
    if (has_escapes) value = unescaped(value);
    return at_ == text_.size() || is_blank(text_[at_]);
  }

  std::string_view unescaped(std::string_view raw) {
    // No escape is shorter than what it stands for: views into scratch stay where they are.
    if (scratch_.empty()) scratch_.reserve(text_.size());
    const std::size_t begin = scratch_.size();
    scratch_ += unescape_json_string(raw);
    return std::string_view(scratch_).substr(begin);
  }

  std::string_view text_;
  std::vector<Field>& fields_;
  std::string& scratch_;
  std::size_t at_ = 0;
};

}  // namespace

bool parse_logfmt(std::string_view text, std::vector<Field>& fields, std::string& scratch) {
  fields.clear();
  scratch.clear();
  return LogfmtReader(text, fields, scratch).read();
}

}  // namespace consort::logsaver
