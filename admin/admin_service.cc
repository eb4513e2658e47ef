#include "admin/admin_service.h"

#include <fmt/format.h>
#include <unistd.h>

#include <nlohmann/json.hpp>
#include <set>
#include <string_view>

#include "admin/metric_text.h"
#include "admin/status_page.h"
#include "base/encoding.h"
#include "runtime/fan_out.h"
#include "runtime/shard.h"

namespace ostraka::admin {
namespace {

using Json = nlohmann::ordered_json;
constexpr Duration kDriveAnswerTime = std::chrono::seconds(1);
constexpr std::string_view kDriveInfoMetric = "ostraka_drive_info";

// A drive that did not answer: offline, with the reason for people.
disk::DriveInfo silent_drive(const disk::Drive& drive, const std::string& path, std::string problem) {
  disk::DriveInfo info;
  info.id = drive.id();
  info.path = path;
  info.problem = std::move(problem);
  return info;
}

std::string_view state_word(const disk::DriveInfo& drive) {
  if (drive.online) return drive.refilling ? "refilling" : is_full(drive) ? "full" : "ok";
  return to_string(drive.state == disk::DriveState::ok ? disk::DriveState::away : drive.state);
}

Json latency_json(const disk::LatencySummary& latency) {
  return {{"calls", latency.calls},
          {"mean_us", latency.mean_us},
          {"p50_us", latency.p50_us},
          {"p99_us", latency.p99_us}};
}

template <class T>
Json known(const std::optional<T>& value) {
  return value ? Json(*value) : Json(nullptr);
}

Json smart_json(const std::optional<disk::SmartReport>& smart) {
  if (!smart) return nullptr;
  return {{"device", smart->device},
          {"model", smart->model},
          {"serial", smart->serial},
          {"passed", known(smart->passed)},
          {"temperature_celsius", known(smart->temperature_celsius)},
          {"reallocated_sectors", known(smart->reallocated_sectors)},
          {"pending_sectors", known(smart->pending_sectors)},
          {"media_errors", known(smart->media_errors)},
          {"percentage_used", known(smart->percentage_used)},
          {"power_on_hours", known(smart->power_on_hours)}};
}

Json drive_json(const disk::DriveInfo& drive) {
  return {{"path", drive.path},
          {"id", to_string(drive.id)},
          {"online", drive.online},
          {"state", state_word(drive)},
          {"problem", drive.problem},
          {"total_bytes", drive.total_bytes},
          {"free_bytes", drive.free_bytes},
          {"used_bytes", drive.used_bytes},
          {"errors", drive.errors},
          {"recent_errors", drive.recent_errors},
          {"heal_queue", drive.heal_queue},
          {"reads", latency_json(drive.reads)},
          {"writes", latency_json(drive.writes)},
          {"smart", smart_json(drive.smart)}};
}

// Text that came from paths or the operating system may be any bytes.
std::string dump(const Json& json) {
  return json.dump(1, ' ', false, Json::error_handler_t::replace);
}

std::string geometry_text(const erasure::Geometry& geometry) {
  return fmt::format("{}+{}", geometry.data_shards, geometry.parity_shards);
}

// Numbers as the label `drive` of the metrics has them. A problem's text names the folder, too.
void hide_folders(std::vector<disk::DriveInfo>& drives) {
  for (disk::DriveInfo& drive : drives) {
    drive.path = fmt::format("drive {}", drive.slot);
    drive.problem.clear();
  }
}

std::string cluster_json(const Assessment& assessment, const std::vector<disk::DriveInfo>& drives,
                         const erasure::Geometry& geometry, Audience audience) {
  Json missing = Json::array();
  for (const disk::DriveInfo& drive : drives) {
    if (drive.online) continue;
    Json entry{{"drive", drive.slot}, {"id", to_string(drive.id)}, {"state", state_word(drive)}};
    if (audience == Audience::operators) {
      entry["path"] = drive.path;
      entry["problem"] = drive.problem;
    }
    missing.push_back(std::move(entry));
  }
  const Json json{
      {"status", to_string(assessment.health)},     {"sentence", assessment.sentence},
      {"geometry", geometry_text(geometry)},        {"drives", drives.size()},
      {"drives_online", assessment.online},         {"may_lose_and_write", assessment.write_spare},
      {"may_lose_and_read", assessment.read_spare}, {"missing", std::move(missing)}};
  return dump(json) + "\n";
}

using DriveAnswer = Result<disk::DriveInfo>;

// With a context of its own, since a laggard outlives the request.
Task<DriveAnswer> ask(disk::Drive* drive, Shard* shard, TimePoint deadline, std::string request_id) {
  Ctx ctx{*shard, deadline, std::move(request_id)};
  co_return co_await drive->info(ctx);
}

}  // namespace

AdminService::AdminService(AdminContext context)
    : context_(std::move(context)),
      uptime_seconds_(
          context_.metrics.gauge("ostraka_uptime_seconds", "Seconds since the process was ready")),
      resident_bytes_(
          context_.metrics.gauge("process_resident_memory_bytes", "Resident memory of the process")),
      started_(context_.clock.now()),
      page_(status_page()),
      page_policy_(status_page_policy()) {
  for (std::size_t slot = 0; slot < context_.drives->size(); ++slot) gauges_of(slot);
}

AdminService::DriveGauges AdminService::gauges_of(std::size_t slot) const {
  MetricRegistry& metrics = context_.metrics;
  const Labels drive{{"drive", std::to_string(slot)}};
  const Labels path{{"drive", std::to_string(slot)}, {"path", context_.drives->entry(slot).path}};
  metrics.gauge(kDriveInfoMetric, "The folder of each drive", path)
      .set(context_.drives->removed(slot) ? 0 : 1);
  return {metrics.gauge("ostraka_drive_total_bytes", "Size of the drive's file system", drive),
          metrics.gauge("ostraka_drive_free_bytes", "Free bytes above the reserve", drive),
          metrics.gauge("ostraka_drive_used_bytes", "Bytes in use", drive)};
}

Task<std::vector<disk::DriveInfo>> AdminService::look_at_drives(Ctx& ctx) {
  const std::vector<disk::Drive*> asked = context_.drives->all();
  const auto fan = std::make_shared<FanOut<DriveAnswer>>(asked.size());
  const TimePoint deadline = std::min(ctx.deadline, context_.clock.now() + kDriveAnswerTime);
  for (std::size_t i = 0; i < asked.size(); ++i) {
    if (context_.drives->removed(i)) continue;
    fan->start(ctx.shard.executor(), context_.background, i,
               ask(asked[i], &ctx.shard, deadline, ctx.request_id));
  }
  co_await fan->wait_all(context_.clock, deadline);

  std::vector<disk::DriveInfo> drives;
  for (std::size_t i = 0; i < asked.size(); ++i) {
    const DriveGauges gauges = gauges_of(i);
    if (context_.drives->removed(i)) {  // an alert about a full drive must not outlive it
      for (Gauge* gauge : {&gauges.total_bytes, &gauges.free_bytes, &gauges.used_bytes}) gauge->set(0);
      continue;
    }
    const std::optional<DriveAnswer>& answer = fan->answers()[i];
    const std::string& path = context_.drives->entry(i).path;
    if (!answer) {
      drives.push_back(silent_drive(*asked[i], path, "it does not answer"));
      drives.back().state = disk::DriveState::stalled;
    } else if (!answer->has_value()) {
      drives.push_back(silent_drive(*asked[i], path, answer->error().detail));
    } else {
      drives.push_back(**answer);
      drives.back().path = path;
    }
    disk::DriveInfo& drive = drives.back();
    drive.slot = static_cast<unsigned>(i);
    if (!drive.online) continue;  // the sizes last known say more than zeros
    gauges.total_bytes.set(static_cast<std::int64_t>(drive.total_bytes));
    gauges.free_bytes.set(static_cast<std::int64_t>(drive.free_bytes));
    gauges.used_bytes.set(static_cast<std::int64_t>(drive.used_bytes));
  }
  co_return drives;
}

void AdminService::begin_serving(Layout layout) {
  change_layout(std::move(layout));
  serving_.store(true, std::memory_order_release);
}

void AdminService::change_layout(Layout layout) {
  const std::lock_guard lock(layout_mutex_);
  layout_ = std::move(layout);
}

Assessment AdminService::assess_drives(const std::vector<disk::DriveInfo>& drives) const {
  if (!serving_.load(std::memory_order_acquire)) return assess_start(context_.drives_to_start, drives);
  Layout layout;
  {
    const std::lock_guard lock(layout_mutex_);
    layout = layout_;
  }
  const ClusterState cluster = cluster_state(drives);
  const std::size_t slots = context_.drives->size();
  if (drives.size() == slots) return assess(layout, drives, cluster);
  // From slots to places in the list, which has no removed drives.
  std::vector<std::uint16_t> places(slots, UINT16_MAX);
  for (std::size_t i = 0; i < drives.size(); ++i)
    if (drives[i].slot < slots) places[drives[i].slot] = static_cast<std::uint16_t>(i);
  for (auto& set : layout.sets)
    for (std::uint16_t& drive : set) drive = drive < slots ? places[drive] : UINT16_MAX;
  return assess(layout, drives, cluster);
}

// A node is reached when one of its drives is: their probes and calls tell within seconds.
ClusterState AdminService::cluster_state(const std::vector<disk::DriveInfo>& drives) const {
  std::set<std::string_view> nodes, reached;
  for (const disk::DriveInfo& drive : drives) {
    const std::string_view node = context_.drives->entry(drive.slot).node;
    nodes.insert(node);
    if (drive.online) reached.insert(node);
  }
  const control::WriteFence* const fence = fence_.load(std::memory_order_acquire);
  return {.nodes = nodes.size(),
          .nodes_reached = reached.size(),
          .may_write = fence == nullptr || fence->may_write()};
}

void AdminService::refresh_process_gauges() {
  const auto up = std::chrono::duration_cast<std::chrono::seconds>(context_.clock.now() - started_);
  uptime_seconds_.set(up.count());
  // The second number of statm: resident pages (proc(5)).
  const auto statm = context_.fs.read_file("/proc/self/statm", 4096);
  if (!statm) return;
  const auto blank = statm->find(' ');
  if (blank == std::string::npos) return;
  const auto pages =
      parse_u64(std::string_view(*statm).substr(blank + 1, statm->find(' ', blank + 1) - blank - 1));
  if (pages) resident_bytes_.set(static_cast<std::int64_t>(*pages) * sysconf(_SC_PAGESIZE));
}

Task<std::string> AdminService::status_json(Ctx& ctx) {
  const std::vector<disk::DriveInfo> drives = co_await look_at_drives(ctx);
  refresh_process_gauges();
  const Assessment assessment = assess_drives(drives);
  const std::string text = context_.metrics.prometheus_text();
  std::uint64_t total = 0, free = 0, used = 0, heal_queue = 0;
  Json list = Json::array();
  bool shared = false;
  std::set<std::uint64_t> counted;
  for (const disk::DriveInfo& drive : drives) {
    const std::uint64_t file_system = context_.drives->entry(drive.slot).file_system;
    if (file_system == 0 || drive.total_bytes == 0 || counted.insert(file_system).second) {
      total += drive.total_bytes;
      free += drive.free_bytes;
    } else {
      shared = true;
    }
    used += drive.used_bytes;
    heal_queue = std::max(heal_queue, drive.heal_queue);  // an entry is recorded on each drive that committed
    list.push_back(drive_json(drive));
  }
  const erasure::Geometry& geometry = context_.geometry;
  const Json json{{"status", to_string(assessment.health)},
                  {"sentence", assessment.sentence},
                  {"version", context_.facts.version},
                  {"deployment", context_.facts.deployment},
                  {"s3_address", context_.facts.s3_address},
                  {"geometry", geometry_text(geometry)},
                  {"storage_efficiency", static_cast<double>(geometry.data_shards) / geometry.drives()},
                  {"uptime_seconds", uptime_seconds_.value()},
                  {"resident_bytes", resident_bytes_.value()},
                  {"drives_online", assessment.online},
                  {"drives", std::move(list)},
                  {"total_bytes", total},
                  {"free_bytes", free},
                  {"used_bytes", used},
                  {"drives_share_a_file_system", shared},
                  {"heal_queue", heal_queue},
                  {"requests_total", sum_samples(text, "ostraka_s3_requests_total")},
                  {"client_errors_total", sum_samples(text, "ostraka_s3_requests_total", "status=\"4")},
                  {"server_errors_total", sum_samples(text, "ostraka_s3_requests_total", "status=\"5")},
                  {"requests_in_flight", sum_samples(text, "ostraka_s3_requests_in_flight")},
                  {"received_bytes_total", sum_samples(text, "ostraka_s3_received_bytes_total")},
                  {"sent_bytes_total", sum_samples(text, "ostraka_s3_sent_bytes_total")}};
  co_return dump(json);
}

Task<AdminService::Answer> AdminService::answer(Ctx& ctx, std::string path, Audience audience) {
  Answer out;
  if (path == "/health/live") {
    out.body = "live\n";
  } else if (path == "/") {
    out.type = "text/html; charset=utf-8";
    out.body = page_;
  } else if (path == "/api/status") {
    out.type = "application/json";
    out.body = co_await status_json(ctx);
  } else if (path == "/metrics") {
    co_await look_at_drives(ctx);
    object::Usage* const usage = usage_.load(std::memory_order_acquire);
    if (usage != nullptr) co_await usage->get(ctx);
    refresh_process_gauges();
    out.type = "text/plain; version=0.0.4; charset=utf-8";
    out.body = context_.metrics.prometheus_text();
    if (audience == Audience::anybody) {
      for (const std::string_view name :
           {kDriveInfoMetric, object::kBucketObjectsMetric, object::kBucketBytesMetric})
        out.body = without_metric(out.body, name);
    }
  } else if (path == "/health/ready" || path == "/health/cluster") {
    std::vector<disk::DriveInfo> drives = co_await look_at_drives(ctx);
    if (audience == Audience::anybody) hide_folders(drives);
    const Assessment assessment = assess_drives(drives);
    const char* const unready = unready_.load(std::memory_order_relaxed);
    const bool serves = assessment.health == Health::ok || assessment.health == Health::degraded;
    if (path == "/health/ready") {
      out.status = serves && unready == nullptr ? 200 : 503;
      out.body = (unready == nullptr ? assessment.sentence : unready) + "\n";
    } else {
      out.status = serves ? 200 : 503;
      out.type = "application/json";
      out.body = cluster_json(assessment, drives, context_.geometry, audience);
    }
  } else if (path.starts_with("/admin/")) {
    out.status = 503;
    out.body = "{\"message\": \"the node is starting\"}\n";
  } else {
    out.status = 404;
    out.body = "There is nothing here; the status page is at /\n";
  }
  co_return out;
}

Task<> AdminService::serve(Ctx& ctx, net::RequestHead& head, net::BodySource& body, net::ResponseSink& sink) {
  if (head.target.starts_with("/admin/")) {
    net::Service* const api = api_.load(std::memory_order_acquire);
    if (api != nullptr) return api->serve(ctx, head, body, sink);
  }
  return serve_to(Audience::operators, ctx, head, sink);
}

Task<> ProbeService::serve(Ctx& ctx, net::RequestHead& head, net::BodySource&, net::ResponseSink& sink) {
  return admin_.serve_to(Audience::anybody, ctx, head, sink);
}

Task<> AdminService::serve_to(Audience audience, Ctx& ctx, net::RequestHead& head, net::ResponseSink& sink) {
  Answer out;
  const bool reads = head.method == net::Method::get || head.method == net::Method::head;
  if (reads) {
    std::string path = head.target.substr(0, head.target.find('?'));
    out = co_await answer(ctx, std::move(path), audience);
  } else {
    out.status = 405;
    out.body = "Only GET and HEAD are served here\n";
  }
  net::ResponseHead response;
  response.status = out.status;
  response.headers = {{"Content-Type", std::move(out.type)},
                      {"Cache-Control", "no-store"},
                      {"X-Content-Type-Options", "nosniff"},
                      {"Referrer-Policy", "no-referrer"},
                      {"Content-Security-Policy", page_policy_}};
  if (!reads) response.headers.add("Allow", "GET, HEAD");
  // A failure means that the asker went away: nobody is left to tell.
  const Result<> sent = co_await sink.respond(std::move(response), std::move(out.body));
  static_cast<void>(sent);
}

bool is_probe(const net::RequestHead& head) noexcept {
  if (head.method != net::Method::get) return false;
  if (head.target != "/health/live" && head.target != "/health/ready" && head.target != "/health/cluster" &&
      head.target != "/metrics") {
    return false;
  }
  return !head.headers.get("Authorization").starts_with("AWS");
}

Task<> FrontService::serve(Ctx& ctx, net::RequestHead& head, net::BodySource& body, net::ResponseSink& sink) {
  const bool probes = probes_ != nullptr && is_probe(head);
  net::Service& service = probes ? *probes_ : *s3_.load(std::memory_order_acquire);
  return service.serve(ctx, head, body, sink);
}

}  // namespace ostraka::admin
