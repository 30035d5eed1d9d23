// The root itself: takes a client's request, has it answered by the leaves, and answers.
//
//   request --> route --> admission --> shards --> Fanout --> status table --> merge --> answer
//               404       503           400        (leaves)   problem, 4xx
//
// A request keeps the epoch that it started with: routes, topology and the replicas' state. A
// reload makes another one. Belongs to the role's loop.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "net/http_server.hpp"
#include "roles/gather/admission.hpp"
#include "roles/gather/backend.hpp"
#include "roles/gather/fanout.hpp"
#include "roles/gather/flight_recorder.hpp"
#include "roles/gather/route.hpp"

namespace consort::gather {

/// The deepest root that answers: beyond it a request is taken to run in circles.
inline constexpr std::uint32_t kMaxDepth = 8;

class Root final : public http::Handler {
 public:
  struct Epoch {
    std::vector<std::shared_ptr<RouteState>> routes;
    std::shared_ptr<Generation> generation;  ///< null until a topology is known
  };

  Root(const Services& services, const Config& config, std::string instance);

  /// For requests from now on. Routes that are as before keep what they have learnt.
  /// With a topology that belongs to them, when it is not null: both change as one.
  void set_routes(std::vector<std::shared_ptr<RouteState>> routes,
                  const std::shared_ptr<const Topology>& topology = nullptr);
  void set_topology(const std::shared_ptr<const Topology>& topology);
  /// Before a topology that has https in it; outlives the root.
  void set_tls(io::TlsClient* tls) { backends_.set_tls(tls); }
  void set_limits(const Limits& limits);
  void set_flags(bool access_log, bool explain);

  /// Requests are about to be dropped: none of those that wait may start because of it.
  void close();

  Task<http::Response> handle(http::Request request) override;
  http::Response refuse(int status, std::string_view text) override;
  void on_accept_paused(const Error& why) override;

  /// Outliers, gauges; about once a second, and soon after RootState::on_suspect.
  void tick();

  const std::shared_ptr<const Epoch>& epoch() const { return epoch_; }
  const BackendSet& backends() const { return backends_; }
  RootState& state() { return state_; }
  const FlightRecorder& recorder() const { return recorder_; }
  const std::string& instance() const { return instance_; }
  std::size_t inside() const { return admission_.inside(); }

 private:
  class Exchange;

  void tell(const OutlierEvent& event);
  void note_topology(const Topology& topology);
  void count(LimitHit limit);
  void set_epoch(std::vector<std::shared_ptr<RouteState>> routes,
                 const std::shared_ptr<const Topology>& topology);

  RootState state_;
  const std::string instance_;
  BackendSet backends_;
  Admission admission_;
  FlightRecorder recorder_;
  std::shared_ptr<const Epoch> epoch_;
  bool access_log_;
  bool explain_;
};

}  // namespace consort::gather
