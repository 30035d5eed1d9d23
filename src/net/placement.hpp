// Decides which server holds a key: the one function on which every proxy and every client of a
// pool must agree, or values seem lost.
//
//   key --hash_tag--> part --KeyHash--> 32 bits --Distribution--> index of a server
//
// ketama, modula   bit for bit as twemproxy 0.5.0 does; ketama with md5 also as libmemcached's
//                  KETAMA_WEIGHTED. Servers are sorted by (name length, bytes) first, so their
//                  order in the configuration does not matter.
// random           any live server, weights ignored; for pools of equal proxies, not of shards.
// jump             Lamping and Veach, "A Fast, Minimal Memory, Consistent Hash Algorithm" (2014):
//                  the most even spread. The order of the configuration counts, names do not:
//                  append new servers at the end, replace a server in its place.
// rendezvous       Thaler and Ravishankar, "Using Name-Based Mappings to Increase Hit Rates"
//                  (1998). Names count, order does not: any server may come or go and only its own
//                  keys move. Linear in servers; fine below a few dozen.
//
// Jump numbers its buckets and cannot drop one in the middle. Here a server that is not live keeps
// its bucket and refuses its keys, which then draw again from a hash of their own; a weight below
// the largest refuses in proportion. So an ejected server moves its own keys only.
//
// Immutable after construction: share it freely, build another one when a server comes or goes.
// Cost of server_of, no allocation: the key hash (key_hash.hpp) plus, for 8 and for 50 servers of
// equal weight, 5 and 8 ns for ketama (a binary search takes 22), 11 and 17 for modula, 25 and 42
// for jump, 15 and 68 for rendezvous (68 and 400 when weights differ). Construction for ketama
// hashes 40 labels per server, about 20 us, and keeps up to 16 bytes for each of its 160 points.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/address.hpp"
#include "base/options.hpp"
#include "base/random.hpp"
#include "net/key_hash.hpp"

namespace consort {

enum class Distribution : std::uint8_t { ketama, modula, random, jump, rendezvous };

template <>
struct Choices<Distribution> {
  static constexpr std::string_view names[] = {"ketama", "modula", "random", "jump", "rendezvous"};
};

struct PlacementServer {
  /// What is hashed, see placement_name(). Distinct within a pool.
  std::string name;
  /// Share relative to the others. 0 gets no keys, as if it were not live. The sum in a pool should
  /// stay far below 2^32, the number of different hashes that modula divides.
  std::uint32_t weight = 1;
  /// False while ejected: the others share its keys as if it were not there.
  bool live = true;
};

/// The name under which twemproxy and libmemcached hash a server: the explicit one when there is
/// one, else "host" for port 11211 (history), "host:port" for any other (an IPv6 literal without
/// brackets) and "/path:" for a Unix socket, with the colon and without the weight.
std::string placement_name(const Address& address, std::string_view explicit_name);

class Placement {
 public:
  /// The answer when no server is live.
  static constexpr std::uint32_t kNoServer = 0xffffffff;

  /// `hash_tag` is empty or exactly two characters (the configuration has checked that).
  Placement(Distribution distribution, KeyHash hash, std::string hash_tag,
            std::vector<PlacementServer> servers);

  /// The index, in the vector given to the constructor, of the server that holds `key`.
  /// `random` is drawn from by Distribution::random only.
  std::uint32_t server_of(std::string_view key, Random& random) const;

  /// The part between the first opening tag character and the first closing one after it; the
  /// whole key when either is missing or nothing is between them. Redis Cluster's rule for "{}".
  std::string_view hashed_part(std::string_view key) const;

  /// Why a key lies where it lies, for --explain and /explain.
  struct Explanation {
    std::string hashed;                ///< after hash_tag
    std::uint32_t hash = 0;            ///< 0 when `single` or for random, where nothing is hashed
    std::uint32_t point = 0;           ///< ketama: the ring point; modula: the slot; else 0
    std::uint32_t server = kNoServer;  ///< kNoServer for random too
    bool single = false;               ///< one live server: it holds every key
  };
  Explanation explain(std::string_view key) const;

  /// A place on the ketama ring and the server (caller's index) that owns the keys up to it.
  struct RingPoint {
    std::uint32_t value;
    std::uint32_t server;
  };
  /// Ascending; empty for other distributions.
  std::span<const RingPoint> ring() const;

 private:
  struct Server {
    std::uint32_t index;  ///< in the caller's vector
    std::uint32_t weight;
    std::uint64_t seed;        ///< rendezvous: from the name
    std::uint64_t weight_end;  ///< modula: sum of the weights up to and with this one
  };

  void build_live(std::span<const PlacementServer> servers);
  void build_ring(std::span<const PlacementServer> servers);
  void index_ring();
  void build_jump(std::span<const PlacementServer> servers);

  std::uint32_t place(std::uint32_t hash) const;
  const RingPoint& ring_point(std::uint32_t hash) const;
  std::uint64_t modula_slot(std::uint32_t hash) const { return hash % total_weight_; }
  std::uint32_t owner_of_slot(std::uint64_t slot) const;
  std::uint32_t jump(std::uint32_t hash) const;
  std::uint32_t rendezvous(std::uint32_t hash) const;

  Distribution distribution_;
  KeyHash hash_;
  std::string hash_tag_;
  std::vector<Server> live_;  ///< sorted by (name length, bytes)
  std::uint64_t total_weight_ = 0;
  bool equal_weights_ = true;
  std::vector<RingPoint> ring_;            ///< with one more at the end, the wrap to the first
  std::vector<std::uint32_t> ring_start_;  ///< by the top bits of a hash: where to begin looking
  unsigned ring_shift_ = 0;
  std::vector<std::uint64_t> jump_accept_;  ///< by caller's index: of 2^32 draws, those accepted
};

/// What to warn of at load when this pair spreads keys badly; empty when it is sound.
std::string_view placement_trap(Distribution distribution, KeyHash hash);

}  // namespace consort
