// The chain of manifests (manifest.hpp) of one sink.
//
// A batch's manifest names that of the batch before, so they are made in the order of numbers, when
// batches are closed or built again. That of a batch is known when it is made, but for one case: a
// batch that is built again with other settings may have been saved before, as it was then, and the
// sink finds that out. The next manifest waits for it.
#include <algorithm>

#include "io/digest.hpp"
#include "roles/logsaver/deliver/delivery.hpp"
#include "roles/logsaver/manifest.hpp"

namespace consort::logsaver {
namespace {

/// A batch of which filters have dropped everything is an object too, since a number that is
/// missing is a gap: so it waits longer for its first record, and for more bytes that come to
/// nothing.
constexpr std::uint64_t kHollowTimes = 16;
constexpr std::uint64_t kHollowBytes = 8;

/// The ranges of a batch, each tail's joined where they touch; in the order of their begin.
std::vector<ManifestSource> sources_of(const std::vector<Extent>& extents, const std::string& id,
                                       const std::map<TailId, std::string>& files) {
  std::vector<ManifestSource> sources;
  std::map<TailId, std::size_t> last;
  for (const Extent& extent : extents) {
    const auto known = last.find(extent.tail);
    if (known != last.end() && sources[known->second].to == extent.start) {
      sources[known->second].to = extent.end;
      continue;
    }
    last[extent.tail] = sources.size();
    sources.push_back({.tail = id + "-" + std::to_string(extent.tail),
                       .file = files.at(extent.tail),
                       .from = extent.start,
                       .to = extent.end});
  }
  return sources;
}

}  // namespace

/// Nothing is in it yet but what filters have dropped.
bool Delivery::is_hollow(const Group& group) const {
  return has_manifests() && group.batch != nullptr && group.batch->plain_bytes() == 0;
}

std::uint64_t Delivery::due_ms(const Group& group) const {
  const auto wait_ms = static_cast<std::uint64_t>(sink_->traits().batch_time.count());
  return group.since_ms + (is_hollow(group) ? kHollowTimes * wait_ms : wait_ms);
}

/// Of files, in its manifest; of the log's bytes, where they come to nothing.
bool Delivery::has_all_that_fits(const Group& group) const {
  if (!has_manifests()) return false;
  const SinkTraits& traits = sink_->traits();
  if (group.tails.size() >= manifest_tails_max(traits.manifest_bytes_max)) return true;
  return is_hollow(group) && group.batch->log_bytes() >= kHollowBytes * traits.batch_bytes.bytes;
}

void Delivery::add_manifest(Flight& flight) {
  if (!has_manifests()) return;
  Batch& batch = flight.batch;
  // What unpacks to nothing must unpack all the same.
  if (batch.body.empty()) compressor_->add("", batch.body);
  std::map<TailId, std::string> files;
  for (const Extent& extent : flight.extents) {
    const auto found = cursors_.find(extent.tail);
    files.try_emplace(extent.tail,
                      found == cursors_.end() ? std::string() : found->second.facts.file);
  }
  const std::string state = batch.id.substr(0, batch.id.find('-'));
  Manifest manifest{.batch = batch.id,
                    .prev = chain_before(batch.number),
                    .records = batch.records,
                    .bytes = batch.body_plain_bytes,
                    .has_line_each = sink_->traits().has_line_each,
                    .coding = batch.coding,
                    .stored = batch.body.size(),
                    .sha256 = io::sha256(batch.body),
                    .sources = sources_of(flight.extents, state, files),
                    .is_rebuilt = batch.is_replay && !batch.has_same_settings};
  batch.sha256 = to_text(manifest.sha256);
  batch.manifest = write_manifest(manifest, sink_->traits().manifest_bytes_max);
  flight.manifest = hash_of_manifest(batch.manifest);
}

/// The destination may have the batch as it was before.
void Delivery::correct_manifest(Flight& flight, const Outcome& outcome) const {
  if (!outcome.manifest_there) return;
  const bool is_none = outcome.manifest_there->empty();
  flight.manifest = is_none ? ManifestHash{} : hash_of_manifest(*outcome.manifest_there);
}

ManifestHash Delivery::chain_before(BatchNumber number) const {
  const SinkLedger& ledger = world_.journal.ledger().sinks()[index_];
  for (auto each = ledger.open.lower_bound(number); each != ledger.open.begin();) {
    --each;
    const auto flight = in_flight_.find(each->first);
    if (flight != in_flight_.end() && flight->second->manifest != ManifestHash{}) {
      return flight->second->manifest;
    }
    const auto known = ledger.manifests.find(each->first);
    if (known != ledger.manifests.end()) return known->second;
  }
  return ledger.chain;
}

/// What the last manifest was is not known before its batch has settled.
bool Delivery::is_chain_unsure() const {
  return has_manifests() && std::ranges::any_of(in_flight_, [](const auto& each) {
           const Batch& batch = each.second->batch;
           return batch.is_replay && !batch.has_same_settings;
         });
}

}  // namespace consort::logsaver
