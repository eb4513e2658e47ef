// AdminService: what operators and their tools ask a node: health, metrics, and the status page with its
// data. Read-only, without authentication and without secrets; it listens on the console address, and four of
// its paths also answer on the S3 address (FrontService), where anybody may ask: there they name no folder.
#pragma once

#include <atomic>
#include <mutex>
#include <string>
#include <vector>

#include "admin/health.h"
#include "base/metrics.h"
#include "control/write_fence.h"
#include "disk/drive_roster.h"
#include "net/service.h"
#include "object/usage.h"
#include "runtime/fs.h"
#include "runtime/gate.h"

namespace ostraka::admin {

struct NodeFacts {
  std::string version;
  std::string deployment;  // id, as text
  std::string s3_address;  // host:port
};

// What the service looks at; all of it outlives it.
struct AdminContext {
  Clock& clock;
  Fs& fs;  // for /proc/self
  MetricRegistry& metrics;
  Gate& background;  // questions to drives that do not answer in time
  disk::RosterPtr drives;
  erasure::Geometry geometry;
  std::size_t drives_to_start = 1;  // that must answer before anything can be served
  NodeFacts facts;
};

// Who reads an answer.
enum class Audience : std::uint8_t {
  operators,  // on the console address
  anybody,    // on the S3 address: drives have numbers, not folders
};

class AdminService final : public net::Service {
 public:
  explicit AdminService(AdminContext context);
  // GET and HEAD of /, /api/status, /health/live, /health/ready, /health/cluster and /metrics; 404 for the
  // rest, 405 for other methods.
  Task<> serve(Ctx& ctx, net::RequestHead& head, net::BodySource& body, net::ResponseSink& sink) override;
  Task<> serve_to(Audience audience, Ctx& ctx, net::RequestHead& head, net::ResponseSink& sink);
  // The node waits for drives until this is called: not ready. Once; requests may be under way.
  void begin_serving(Layout layout);
  // The drives form other sets from now on. Thread safe.
  void change_layout(Layout layout);
  // From now on requests under /admin/ go there; before that they get 503. It outlives all of them. Thread
  // safe.
  void lead_api_to(net::Service& api) noexcept { api_.store(&api, std::memory_order_release); }
  // From now on the metrics of buckets are fresh whenever metrics are asked for. It outlives all requests.
  // Thread safe.
  void lead_usage_to(object::Usage& usage) noexcept { usage_.store(&usage, std::memory_order_release); }
  // From now on health says so when this node may not write. It outlives all requests. Thread safe.
  void ask_to_write(const control::WriteFence& fence) noexcept {
    fence_.store(&fence, std::memory_order_release);
  }
  // From now on not ready: load balancers should send no more. Thread safe. why: for people; a literal.
  void become_unready(const char* why) noexcept { unready_.store(why, std::memory_order_relaxed); }
  // Asks every drive that was not removed, at most a second, and sets their gauges. By slot.
  Task<std::vector<disk::DriveInfo>> look_at_drives(Ctx& ctx);
  // drives: as look_at_drives() gave them.
  Assessment assess_drives(const std::vector<disk::DriveInfo>& drives) const;

 private:
  struct DriveGauges {
    Gauge &total_bytes, &free_bytes, &used_bytes;
  };
  DriveGauges gauges_of(std::size_t slot) const;
  ClusterState cluster_state(const std::vector<disk::DriveInfo>& drives) const;
  Task<std::string> status_json(Ctx& ctx);
  struct Answer {
    unsigned status = 200;
    std::string type = "text/plain; charset=utf-8";
    std::string body;
  };
  Task<Answer> answer(Ctx& ctx, std::string path, Audience audience);
  void refresh_process_gauges();

  AdminContext context_;
  Gauge& uptime_seconds_;
  Gauge& resident_bytes_;
  const TimePoint started_;
  const std::string page_;
  const std::string page_policy_;  // Content-Security-Policy
  mutable std::mutex layout_mutex_;
  Layout layout_;  // set before serving_
  std::atomic<bool> serving_{false};
  std::atomic<const char*> unready_{nullptr};
  std::atomic<net::Service*> api_{nullptr};
  std::atomic<object::Usage*> usage_{nullptr};
  std::atomic<const control::WriteFence*> fence_{nullptr};
};

// True for the four paths that also answer on the S3 address: GET of exactly these, not signed for S3.
bool is_probe(const net::RequestHead& head) noexcept;

// What of the admin service anybody may ask.
class ProbeService final : public net::Service {
 public:
  explicit ProbeService(AdminService& admin) : admin_(admin) {}
  Task<> serve(Ctx& ctx, net::RequestHead& head, net::BodySource& body, net::ResponseSink& sink) override;

 private:
  AdminService& admin_;
};

// The service of the S3 address: probes go to `probes`, unless it is null, all else to S3. All of them
// outlive it.
class FrontService final : public net::Service {
 public:
  FrontService(net::Service* probes, net::Service& s3) : probes_(probes), s3_(&s3) {}
  Task<> serve(Ctx& ctx, net::RequestHead& head, net::BodySource& body, net::ResponseSink& sink) override;
  // Another S3 from the next request on. Thread safe.
  void lead_to(net::Service& s3) noexcept { s3_.store(&s3, std::memory_order_release); }

 private:
  net::Service* const probes_;
  std::atomic<net::Service*> s3_;
};

}  // namespace ostraka::admin
