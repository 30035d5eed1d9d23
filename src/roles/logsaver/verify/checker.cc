#include "roles/logsaver/verify/checker.hpp"

#include <algorithm>
#include <optional>
#include <tuple>
#include <utility>

#include "base/options.hpp"

namespace consort::logsaver {
namespace {

/// So many ranges of bytes are told with a batch that is missing.
constexpr std::size_t kRangesTold = 3;

std::string numbers_text(BatchNumber first, BatchNumber last) {
  if (first == last) return "batch " + std::to_string(first) + " is missing";
  return "batches " + std::to_string(first) + " to " + std::to_string(last) + " are missing";
}

std::string range_text(std::uint64_t from, std::uint64_t to, const std::string& file) {
  return "bytes " + std::to_string(from) + " to " + std::to_string(to) + " of " + file;
}

}  // namespace

Result<Head> parse_head(std::string_view text) {
  const std::size_t equals = std::min(text.find('='), text.size());
  const Result<BatchName> batch = parse_batch(text.substr(0, equals));
  const Result<ManifestHash> hash = parse_hash(equals < text.size() ? text.substr(equals + 1) : "");
  if (!batch || !hash || *hash == ManifestHash{}) {
    return fail(Errc::invalid,
                in_quotes(text) + " is no BATCH=HASH (as `verify --json` says: head)");
  }
  return Head{.stream = std::string(batch->stream), .number = batch->number, .hash = *hash};
}

std::string_view to_string(Problem::Kind kind) {
  constexpr std::string_view kNames[] = {"missing", "changed", "gap", "twice", "unread"};
  return kNames[static_cast<std::size_t>(kind)];
}

/// Along the batches of one stream.
struct Checker::Walk {
  const std::string& id;
  Stream& stream;
  std::map<std::uint32_t, Reached> tails{};
  BatchNumber missing_at = 0;  ///< behind the last batches that are missing
  BatchNumber unnamed_at = 0;  ///< the last batch that has not named all of its sources
  Problem* missing = nullptr;  ///< those, where there was room to tell
  std::size_t ranges_told = 0;
};

void Checker::add(Saved saved) {
  const Manifest& manifest = saved.manifest;
  const Result<BatchName> name = parse_batch(manifest.batch);
  if (!name) return;  // read_manifest() refuses such a one
  Entry entry{.number = name->number,
              .name = std::move(saved.name),
              .prev = manifest.prev,
              .hash = saved.hash,
              .records = manifest.records,
              .bytes = manifest.bytes,
              .stored = manifest.stored,
              .has_more = manifest.more > 0,
              .is_rebuilt = manifest.is_rebuilt,
              .is_object = saved.is_object};
  for (const ManifestSource& source : manifest.sources) {
    entry.sources.push_back(
        {name_index(source.tail), name_index(source.file), source.from, source.to});
  }
  streams_[std::string(name->stream)].entries.push_back(std::move(entry));
}

void Checker::damaged(Problem::Kind kind, std::string where, std::string text,
                      std::string_view stream) {
  Stream* of = stream.empty() ? nullptr : &streams_[std::string(stream)];
  problem(kind, std::move(where), std::move(text), of);
}

void Checker::foreign(std::string_view name) {
  if (report_.foreign++ == 0) report_.first_foreign = name;
}

void Checker::note(std::string text) {
  if (report_.notes.size() < kNotesMax) report_.notes.push_back(std::move(text));
}

Report Checker::finish() {
  // Pointers to problems are kept while more are added.
  report_.problems.reserve(kProblemsMax);
  check_heads();
  for (auto& [id, stream] : streams_) report_.streams.push_back(check(id, stream));
  return std::exchange(report_, {});
}

std::uint32_t Checker::name_index(const std::string& name) {
  const auto index = static_cast<std::uint32_t>(names_.size());
  const auto [found, is_new] = name_indexes_.try_emplace(name, index);
  if (is_new) names_.push_back(name);
  return found->second;
}

Problem* Checker::problem(Problem::Kind kind, std::string where, std::string text, Stream* stream) {
  if (stream != nullptr) ++stream->problems;
  ++report_.problems_total;
  if (report_.problems.size() >= kProblemsMax) return nullptr;
  return &report_.problems.emplace_back(
      Problem{.kind = kind, .where = std::move(where), .text = std::move(text)});
}

void Checker::check_heads() {
  for (const Head& head : rules_.heads) {
    const std::string where = "stream " + head.stream;
    Stream& stream = streams_[head.stream];
    const auto found = std::ranges::find(stream.entries, head.number, &Entry::number);
    const std::string batch = "batch " + std::to_string(head.number);
    if (found == stream.entries.end()) {
      problem(Problem::Kind::missing, where, batch + ", which --head names, is missing", &stream);
    } else if (found->hash != head.hash) {
      problem(Problem::Kind::changed, found->name, batch + " is not the one that --head names",
              &stream);
    }
  }
}

StreamReport Checker::check(const std::string& id, Stream& stream) {
  std::ranges::sort(stream.entries, [](const Entry& a, const Entry& b) {
    return std::tie(a.number, a.name) < std::tie(b.number, b.name);
  });
  StreamReport made;
  made.id = id;
  Walk walk{.id = id, .stream = stream};
  std::vector<std::uint32_t> files;
  for (std::size_t at = 0; at < stream.entries.size(); ++at) {
    const Entry& entry = stream.entries[at];
    const bool is_again = at > 0 && stream.entries[at - 1].number == entry.number;
    check_link(walk, at);
    if (!is_again) check_sources(walk, entry);
    ++made.count;
    made.records += entry.records;
    made.bytes += entry.bytes;
    made.stored += entry.stored;
    for (const Source& source : entry.sources) files.push_back(source.file);
    if (files.size() > 4096) {
      std::ranges::sort(files);
      files.erase(std::unique(files.begin(), files.end()), files.end());
    }
  }
  std::ranges::sort(files);
  made.files = static_cast<std::size_t>(std::unique(files.begin(), files.end()) - files.begin());
  if (!stream.entries.empty()) {
    made.first = stream.entries.front().number;
    made.last = stream.entries.back().number;
    made.head = stream.entries.back().hash;
  }
  const bool is_file = !stream.entries.empty() && !stream.entries.front().is_object;
  made.noun = is_file ? "batches" : "objects";
  made.problems = stream.problems;
  return made;
}

/// To the batch before.
void Checker::check_link(Walk& walk, std::size_t at) {
  using Kind = Problem::Kind;
  const std::vector<Entry>& entries = walk.stream.entries;
  const Entry& entry = entries[at];
  const std::string where = "stream " + walk.id;
  const auto tell_missing = [&](BatchNumber first, std::string why) {
    walk.missing = problem(Kind::missing, where,
                           numbers_text(first, entry.number - 1) + std::move(why), &walk.stream);
    walk.missing_at = entry.number;
    walk.ranges_told = 0;
  };
  if (at == 0) {
    if (entry.number == 1) {
      if (entry.prev != ManifestHash{}) {
        problem(Kind::changed, entry.name, "is batch 1 and names another one before it",
                &walk.stream);
      }
    } else if (rules_.from_start) {
      tell_missing(1, "");
    } else {
      note(where + ": begins with batch " + std::to_string(entry.number) +
           ": those before it have expired, were removed, or had no manifests");
    }
    return;
  }
  const Entry& before = entries[at - 1];
  if (before.number == entry.number) {
    problem(Kind::twice, entry.name,
            "is batch " + std::to_string(entry.number) + ", as " + before.name + " is",
            &walk.stream);
    return;
  }
  const bool goes_on = entry.prev == before.hash;
  if (before.number + 1 < entry.number) {
    tell_missing(before.number + 1,
                 goes_on ? ": nothing was ever saved of it (its bytes were lost, or there were no "
                           "manifests then)"
                         : "");
    return;
  }
  if (goes_on) return;
  const bool is_skipped = at > 1 && entry.prev == entries[at - 2].hash;
  if (before.is_rebuilt || is_skipped) {
    note(entry.name + ": names another batch " + std::to_string(before.number) +
         " than the one that is there, which was built again after a crash");
    return;
  }
  problem(Kind::changed, entry.name,
          "does not go on from batch " + std::to_string(before.number) + " (" + before.name +
              "): one of the two was replaced",
          &walk.stream);
}

/// Each tail goes on where it was.
void Checker::check_sources(Walk& walk, const Entry& entry) {
  using Kind = Problem::Kind;
  for (const Source& source : entry.sources) {
    const auto [found, is_new] = walk.tails.try_emplace(source.tail);
    const Reached before = found->second;
    found->second = {std::max(before.to, source.to), entry.number};
    // A tail that begins elsewhere began there (--from end), or in a batch that is missing.
    if (source.from == before.to || (is_new && walk.missing_at == 0)) continue;
    const std::string& file = names_[source.file];
    if (source.from < before.to) {
      problem(Kind::twice, entry.name,
              range_text(source.from, std::min(before.to, source.to), file) +
                  " are in a batch before it too",
              &walk.stream);
      continue;
    }
    if (walk.unnamed_at > 0 && walk.unnamed_at >= before.number) continue;  // it may be there
    if (walk.missing_at > before.number) {
      if (walk.missing != nullptr && walk.ranges_told++ < kRangesTold) {
        walk.missing->text +=
            (walk.ranges_told == 1 ? ": " : ", ") + range_text(before.to, source.from, file);
      }
      continue;
    }
    problem(Kind::gap, entry.name,
            range_text(before.to, source.from, file) +
                " are in no batch: they were lost before "
                "they were saved",
            &walk.stream);
  }
  if (entry.has_more) walk.unnamed_at = entry.number;
}

}  // namespace consort::logsaver
