// Everything a role may touch, simulated: loop, network, names and randomness from one seed.
//
//   #include "sim/world.hpp"
//   sim::World world(/*seed=*/7);
//   auto& server = world.network.serve("10.0.0.1:11211");
//   Code code(world.loop, world.network, world.dns);
//   world.loop.settle();
//   CHECK(server.last().take() == "version\r\n");
//
// See loop.hpp (virtual time), network.hpp and connection.hpp (peers), dns.hpp (names), files.hpp
// (small files), file_system.hpp (the disk), processes.hpp (children).
// Destroy the code under test before the world.
#pragma once

#include <cstdint>

#include "base/random.hpp"
#include "sim/dns.hpp"
#include "sim/file_system.hpp"
#include "sim/files.hpp"
#include "sim/loop.hpp"
#include "sim/network.hpp"
#include "sim/processes.hpp"

namespace consort::sim {

struct World {
  explicit World(std::uint64_t seed = 1, Conditions conditions = {})
      : random(seed),
        network(loop, random.next(), conditions),
        dns(loop),
        files(loop),
        disk(loop),
        processes(loop) {}

  SimLoop loop;
  Random random;
  SimNetwork network;
  SimDns dns;
  SimFiles files;
  SimFileSystem disk;
  SimProcesses processes;
};

}  // namespace consort::sim
