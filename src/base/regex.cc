#include "base/regex.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/options.hpp"
#include "base/regex_literal.hpp"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

namespace consort {

namespace {

constexpr std::size_t kStackBytesMin = 64 * 1024;
constexpr std::uint32_t kInterpreterHeapKib = 1024;

template <class T, void (*kFree)(T*)>
struct Free {
  void operator()(T* value) const { kFree(value); }
};
using Code = std::unique_ptr<pcre2_code, Free<pcre2_code, pcre2_code_free>>;
using MatchData = std::unique_ptr<pcre2_match_data, Free<pcre2_match_data, pcre2_match_data_free>>;
using MatchContext =
    std::unique_ptr<pcre2_match_context, Free<pcre2_match_context, pcre2_match_context_free>>;
using CompileContext =
    std::unique_ptr<pcre2_compile_context, Free<pcre2_compile_context, pcre2_compile_context_free>>;
using Stack = std::unique_ptr<pcre2_jit_stack, Free<pcre2_jit_stack, pcre2_jit_stack_free>>;

PCRE2_SPTR bytes_of(std::string_view text) {
  // The library takes no null, not even for nothing.
  return reinterpret_cast<PCRE2_SPTR>(text.data() == nullptr ? "" : text.data());
}

/// Called by the library before each match. Null makes it use 32 KiB of our own stack.
pcre2_jit_stack* thread_stack(void*) {
  thread_local Stack stack;
  if (!stack) stack.reset(pcre2_jit_stack_create(kStackBytesMin, Regex::kStackBytesMax, nullptr));
  return stack.get();
}

std::string words_of(int code) {
  PCRE2_UCHAR buffer[256] = {};
  pcre2_get_error_message(code, buffer, sizeof buffer);
  return reinterpret_cast<const char*>(buffer);
}

tl::unexpected<Error> refuse(std::string_view pattern, const std::string& why) {
  return fail(Errc::invalid, in_quotes(pattern) + " is not a pattern: " + why);
}

tl::unexpected<Error> refuse_at(std::string_view pattern, std::size_t offset, int code) {
  if (offset >= pattern.size()) return refuse(pattern, words_of(code) + ", at its end");
  return refuse(pattern, words_of(code) + ", at byte " + std::to_string(offset + 1) + " (before " +
                             in_quotes(pattern.substr(offset)) + ")");
}

std::vector<Regex::NamedGroup> names_of(const pcre2_code* code) {
  std::uint32_t count = 0;
  std::uint32_t entry_bytes = 0;
  PCRE2_SPTR entry = nullptr;
  pcre2_pattern_info(code, PCRE2_INFO_NAMECOUNT, &count);
  pcre2_pattern_info(code, PCRE2_INFO_NAMEENTRYSIZE, &entry_bytes);
  pcre2_pattern_info(code, PCRE2_INFO_NAMETABLE, &entry);
  std::vector<Regex::NamedGroup> names;
  for (; count > 0; --count, entry += entry_bytes) {
    const std::uint32_t number = static_cast<std::uint32_t>(entry[0]) << 8 | entry[1];
    names.push_back({reinterpret_cast<const char*>(entry + 2), number});
  }
  std::sort(names.begin(), names.end(),
            [](const auto& a, const auto& b) { return a.number < b.number; });
  return names;
}

bool make_machine_code(pcre2_code* code) {
  if (pcre2_jit_compile(code, PCRE2_JIT_COMPLETE) != 0) return false;
  // A pattern that begins with (*NO_JIT) succeeds too, and has none.
  std::size_t bytes = 0;
  return pcre2_pattern_info(code, PCRE2_INFO_JITSIZE, &bytes) == 0 && bytes > 0;
}

MatchContext make_match_context() {
  MatchContext context(pcre2_match_context_create(nullptr));
  if (!context) return context;
  pcre2_set_match_limit(context.get(), Regex::kMatchLimit);
  // Of the interpreter alone.
  pcre2_set_depth_limit(context.get(), Regex::kMatchLimit);
  pcre2_set_heap_limit(context.get(), kInterpreterHeapKib);
  pcre2_jit_stack_assign(context.get(), thread_stack, nullptr);
  return context;
}

}  // namespace

struct Regex::Compiled {
  std::string pattern;
  std::string literal;
  std::vector<NamedGroup> names;
  std::uint32_t match_options = 0;
  bool is_machine_code = false;
  Code code;
  MatchData data;
  MatchContext context;
  std::string_view text;   ///< of the last match
  std::size_t groups = 0;  ///< of the last match; 0 when it said no

  int run(std::string_view subject, std::size_t from) {
    const auto match = is_machine_code ? pcre2_jit_match : pcre2_match;
    return match(code.get(), bytes_of(subject), subject.size(), from, match_options, data.get(),
                 context.get());
  }
};

Regex::Regex(std::unique_ptr<Compiled> compiled) : compiled_(std::move(compiled)) {}
Regex::Regex(Regex&& other) noexcept = default;
Regex& Regex::operator=(Regex&& other) noexcept = default;
Regex::~Regex() = default;

Result<Regex> Regex::compile(std::string_view pattern, RegexOptions options) {
  if (pattern.size() > kPatternBytesMax) return refuse(pattern, "it is longer than 16 KiB");
  CompileContext context(pcre2_compile_context_create(nullptr));
  if (!context) return fail(Errc::limit, "no memory for a pattern");
  // What the library was built with must not matter.
  pcre2_set_newline(context.get(), PCRE2_NEWLINE_LF);
  pcre2_set_bsr(context.get(), PCRE2_BSR_ANYCRLF);
  std::uint32_t flags = PCRE2_NEVER_UTF | PCRE2_NEVER_UCP;
  if (options.ignore_case) flags |= PCRE2_CASELESS;
  int error = 0;
  std::size_t offset = 0;
  auto compiled = std::make_unique<Compiled>();
  compiled->code.reset(
      pcre2_compile(bytes_of(pattern), pattern.size(), flags, &error, &offset, context.get()));
  if (!compiled->code) return refuse_at(pattern, offset, error);
  compiled->is_machine_code = make_machine_code(compiled->code.get());
  compiled->data.reset(pcre2_match_data_create_from_pattern(compiled->code.get(), nullptr));
  compiled->context = make_match_context();
  if (!compiled->data || !compiled->context) return fail(Errc::limit, "no memory for a pattern");
  compiled->match_options = options.skip_empty ? PCRE2_NOTEMPTY : 0;
  compiled->names = names_of(compiled->code.get());
  if (options.use_literal)
    compiled->literal = consort::required_literal(pattern, options.ignore_case);
  compiled->pattern = pattern;
  return Regex(std::move(compiled));
}

Regex::Verdict Regex::match(std::string_view text, std::size_t from) {
  Compiled& it = *compiled_;
  it.groups = 0;
  if (from > text.size()) return Verdict::no;
  if (!it.literal.empty() && ::memmem(text.data() + from, text.size() - from, it.literal.data(),
                                      it.literal.size()) == nullptr) {
    return Verdict::no;
  }
  if (text.size() > kTextBytesMax) return Verdict::limit;
  const int groups = it.run(text, from);
  if (groups == PCRE2_ERROR_NOMATCH) return Verdict::no;
  // Whatever else went wrong: what the pattern says of this text is not known.
  if (groups <= 0) return Verdict::limit;
  it.groups = static_cast<std::size_t>(groups);
  it.text = text;
  return Verdict::yes;
}

std::string_view Regex::group(std::size_t number) const {
  const Compiled& it = *compiled_;
  if (number >= it.groups) return {};
  const std::size_t* const ends = pcre2_get_ovector_pointer(it.data.get()) + 2 * number;
  // A lookbehind with \K could set the begin after the end.
  if (ends[0] == PCRE2_UNSET || ends[1] < ends[0]) return {};
  return it.text.substr(ends[0], ends[1] - ends[0]);
}

std::span<const Regex::NamedGroup> Regex::names() const {
  return compiled_->names;
}

const std::string& Regex::pattern() const {
  return compiled_->pattern;
}

const std::string& Regex::required_literal() const {
  return compiled_->literal;
}

}  // namespace consort
