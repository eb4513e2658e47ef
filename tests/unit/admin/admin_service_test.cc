#include "admin/admin_service.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "runtime/shard.h"

namespace ostraka::admin {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

// A drive of which only info() is asked.
class InfoDrive final : public disk::Drive {
 public:
  explicit InfoDrive(Result<disk::DriveInfo> answer) : answer_(std::move(answer)) {}
  void become(Result<disk::DriveInfo> answer) { answer_ = std::move(answer); }
  DriveId id() const noexcept override { return {}; }
  bool online() const noexcept override { return answer_.has_value() && answer_->online; }
  Task<Result<disk::DriveInfo>> info(Ctx&) override { co_return answer_; }

  template <class T>
  using R = Task<Result<T>>;
  R<std::unique_ptr<disk::ShardWriter>> stage(Ctx&, disk::StageSpec) override { co_return unused(); }
  R<void> discard(Ctx&, DataId) override { co_return unused(); }
  R<disk::CommitAnswer> commit(Ctx&, disk::ObjectRef, disk::CommitRequest) override { co_return unused(); }
  R<disk::FenceAnswer> fence(Ctx&, disk::ObjectRef, VersionId) override { co_return unused(); }
  R<disk::Verdict> withdraw(Ctx&, disk::ObjectRef, VersionId) override { co_return unused(); }
  void retire(disk::ObjectRef, VersionId) override {}
  R<disk::Verdict> purge(Ctx&, disk::ObjectRef, VersionId) override { co_return unused(); }
  R<disk::Held> read(Ctx&, disk::ObjectRef, disk::ReadSpec) override { co_return unused(); }
  R<bool> begin_anew(Ctx&, disk::ObjectRef) override { co_return unused(); }
  R<disk::Verdict> readmit_key(Ctx&, disk::ObjectRef, std::uint64_t) override { co_return unused(); }
  R<std::vector<Result<disk::Held>>> read_many(Ctx&, std::vector<disk::KeyRead>) override {
    co_return unused();
  }
  std::optional<Result<disk::Held>> try_read(const disk::ObjectRef&, disk::ReadSpec) override {
    return std::nullopt;
  }
  R<std::unique_ptr<disk::ShardReader>> open_shard(Ctx&, disk::ShardRef) override { co_return unused(); }
  R<disk::ListPage> list(Ctx&, disk::ListSpec) override { co_return unused(); }
  R<disk::ShardHealth> verify(Ctx&, disk::ShardRef) override { co_return unused(); }
  R<void> put_system(Ctx&, std::string, std::string) override { co_return unused(); }
  R<void> erase_system(Ctx&, std::string) override { co_return unused(); }
  R<std::vector<SystemRecord>> scan_system(Ctx&, std::string, std::size_t) override { co_return unused(); }
  R<std::vector<SystemRecord>> scan_system_after(Ctx&, std::string, std::string, std::size_t) override {
    co_return unused();
  }
  R<void> erase_system_if(Ctx&, std::string, std::string) override { co_return unused(); }
  R<void> readmit(Ctx&, std::uint16_t, std::uint64_t) override { co_return unused(); }
  R<std::vector<disk::GroupState>> groups(Ctx&) override { co_return unused(); }
  R<disk::RowPage> scan(Ctx&, disk::RowScanSpec) override { co_return unused(); }
  R<std::vector<disk::BucketUsage>> usage(Ctx&) override { co_return unused(); }
  R<bool> recount_usage(Ctx&, BucketId) override { co_return unused(); }
  R<disk::OrphanReport> find_orphans(Ctx&, disk::OrphanSpec) override { co_return unused(); }

 private:
  static tl::unexpected<Error> unused() { return fail(Errc::not_implemented); }
  Result<disk::DriveInfo> answer_;
};

class NoBody final : public net::BodySource {
 public:
  Task<Result<std::size_t>> read(MutableByteSpan) override { co_return std::size_t{0}; }
};

class KeptAnswer final : public net::ResponseSink {
 public:
  Task<Result<>> respond(net::ResponseHead head, std::string body) override {
    head_ = std::move(head);
    body_ = std::move(body);
    co_return Result<>{};
  }
  Task<Result<>> start(net::ResponseHead, std::optional<std::uint64_t>) override {
    co_return fail(Errc::internal);
  }
  Task<Result<>> write(std::span<const ByteSpan>) override { co_return fail(Errc::internal); }
  Task<Result<>> finish() override { co_return fail(Errc::internal); }
  bool started() const noexcept override { return false; }
  net::ResponseHead head_;
  std::string body_;
};

class NamedService final : public net::Service {
 public:
  explicit NamedService(std::string name) : name_(std::move(name)) {}
  Task<> serve(Ctx&, net::RequestHead&, net::BodySource&, net::ResponseSink& sink) override {
    const Result<> sent = co_await sink.respond(net::ResponseHead{}, name_);
    static_cast<void>(sent);
  }

 private:
  std::string name_;
};

disk::DriveInfo online_drive() {
  disk::DriveInfo info;
  info.online = true;
  info.total_bytes = 1000;
  info.free_bytes = 600;
  info.used_bytes = 400;
  info.heal_queue = 3;
  return info;
}

class AdminServiceTest : public ::testing::Test {
 protected:
  AdminServiceTest() {
    for (int i = 0; i < 3; ++i) drives_.push_back(std::make_unique<InfoDrive>(online_drive()));
    const std::uint64_t file_systems[] = {7, 8, 7};
    for (std::size_t i = 0; i < 3; ++i)
      roster_->add({drives_[i].get(), "", fmt::format("/d{}", i + 1), file_systems[i]});
    AdminContext context{clock_, fs_, metrics_, gate_, roster_, *erasure::make_geometry(2, 1), 2, {}};
    context.facts = {"1.2.3", "some-deployment", "127.0.0.1:9000"};
    service_ = std::make_unique<AdminService>(std::move(context));
    service_->begin_serving(layout());
  }
  static Layout layout() { return Layout{*erasure::make_geometry(2, 1), {{0, 1, 2}}}; }
  ~AdminServiceTest() override { run_to_end(shard_, gate_.close()); }

  KeptAnswer ask(net::Service& service, std::string target, net::Method method = net::Method::get,
                 net::Headers headers = {}) {
    net::RequestHead head;
    head.method = method;
    head.target = std::move(target);
    head.headers = std::move(headers);
    Ctx ctx{shard_, kNoDeadline, "test"};
    NoBody body;
    KeptAnswer sink;
    run_to_end(shard_, service.serve(ctx, head, body, sink));
    return sink;
  }
  KeptAnswer get(std::string target) { return ask(*service_, std::move(target)); }

  SystemClock clock_;
  PosixFs fs_;
  MetricRegistry metrics_;
  Shard shard_{0, clock_, ShardSpec{}};
  Gate gate_;
  std::vector<std::unique_ptr<InfoDrive>> drives_;
  const std::shared_ptr<disk::DriveRoster> roster_ = std::make_shared<disk::DriveRoster>();
  std::unique_ptr<AdminService> service_;
};

TEST_F(AdminServiceTest, ReadyWhileWritesHaveTheirQuorum) {
  EXPECT_EQ(get("/health/live").head_.status, 200U);
  EXPECT_EQ(get("/health/ready").head_.status, 200U);
  disk::DriveInfo away;
  away.problem = "the folder is gone";
  drives_[0]->become(away);
  EXPECT_EQ(get("/health/ready").head_.status, 200U);
  drives_[1]->become(fail(Errc::unavailable, "no answer"));
  EXPECT_EQ(get("/health/ready").head_.status, 503U);
  EXPECT_EQ(get("/health/live").head_.status, 200U);
}

class Fence final : public control::WriteFence {
 public:
  bool may_write() const noexcept override { return may_write_; }
  Task<Result<>> wait_until_known(Ctx&, std::uint64_t) override { co_return Result<>(); }
  bool may_write_ = false;
};

TEST_F(AdminServiceTest, ReadyWhileTheNodeMayWrite) {
  Fence fence;
  service_->ask_to_write(fence);
  EXPECT_EQ(get("/health/ready").head_.status, 503U);
  const KeptAnswer told = get("/health/cluster");
  EXPECT_EQ(told.head_.status, 503U);
  EXPECT_EQ(nlohmann::json::parse(told.body_)["status"], "read_only");
  fence.may_write_ = true;
  EXPECT_EQ(get("/health/ready").head_.status, 200U);
}

// Three nodes with one drive of the set and one that holds nothing: two of them are not enough.
TEST_F(AdminServiceTest, ReadyWhileMostNodesAnswer) {
  const auto roster = std::make_shared<disk::DriveRoster>();
  for (const char* node : {"node4", "node5"}) {
    drives_.push_back(std::make_unique<InfoDrive>(online_drive()));
    roster->add({drives_.back().get(), node, "", 0});
  }
  for (const std::size_t i : {0U, 1U, 2U})
    roster->add({drives_[i].get(), fmt::format("node{}", i + 1), "", 0});
  AdminContext context{clock_, fs_, metrics_, gate_, roster, *erasure::make_geometry(2, 1), 2, {}};
  AdminService service(std::move(context));
  service.begin_serving({*erasure::make_geometry(2, 1), {{2, 3, 4}}});
  const disk::DriveInfo away;
  for (const std::size_t i : {0U, 3U}) drives_[i]->become(away);
  EXPECT_EQ(ask(service, "/health/ready").head_.status, 200U);
  drives_[4]->become(away);
  const KeptAnswer told = ask(service, "/health/ready");
  EXPECT_EQ(told.head_.status, 503U);
  EXPECT_THAT(told.body_, HasSubstr("2 of 5 nodes answer"));
}

// A slot is given out for good, so what is told of the others goes on by their slots.
TEST_F(AdminServiceTest, OfARemovedDriveNothingIsToldAnyMore) {
  drives_.push_back(std::make_unique<InfoDrive>(online_drive()));
  roster_->add({drives_[3].get(), "", "/d4", 9});
  EXPECT_THAT(get("/metrics").body_, HasSubstr("ostraka_drive_used_bytes{drive=\"1\"} 400"));
  roster_->set_removed(1);
  service_->change_layout({layout().geometry, {{0, 2, 3}}});
  const std::string metrics = get("/metrics").body_;
  EXPECT_THAT(metrics, HasSubstr("ostraka_drive_used_bytes{drive=\"1\"} 0"));
  EXPECT_THAT(metrics, HasSubstr("ostraka_drive_info{drive=\"1\",path=\"/d2\"} 0"));
  EXPECT_THAT(metrics, HasSubstr("ostraka_drive_used_bytes{drive=\"3\"} 400"));
  const nlohmann::json status = nlohmann::json::parse(get("/api/status").body_);
  EXPECT_EQ(status["drives"].size(), 3U);
  EXPECT_EQ(status["total_bytes"], 2000) << "two of the three share a file system";
  EXPECT_EQ(get("/health/ready").head_.status, 200U);
  drives_[0]->become(fail(Errc::unavailable, "no answer"));
  EXPECT_EQ(get("/health/ready").head_.status, 200U);
  drives_[3]->become(fail(Errc::unavailable, "no answer"));
  const nlohmann::json cluster = nlohmann::json::parse(get("/health/cluster").body_);
  EXPECT_EQ(get("/health/ready").head_.status, 503U);
  ASSERT_EQ(cluster["missing"].size(), 2U) << cluster.dump();
  EXPECT_EQ(cluster["missing"][1]["drive"], 3);
}

TEST_F(AdminServiceTest, NotReadyOnceShuttingDown) {
  service_->become_unready("shutting down");
  const KeptAnswer answer = get("/health/ready");
  EXPECT_EQ(answer.head_.status, 503U);
  EXPECT_EQ(answer.body_, "shutting down\n");
}

TEST_F(AdminServiceTest, NotReadyWhileItWaitsForDrives) {
  AdminContext context{clock_, fs_, metrics_, gate_, roster_, layout().geometry, 2, {}};
  context.facts = {"1.2.3", "some-deployment", "127.0.0.1:9000"};
  drives_[0]->become(fail(Errc::unavailable, "no answer"));
  drives_[1]->become(fail(Errc::unavailable, "no answer"));
  AdminService starting(std::move(context));
  EXPECT_EQ(ask(starting, "/health/live").head_.status, 200U);
  const KeptAnswer ready = ask(starting, "/health/ready");
  EXPECT_EQ(ready.head_.status, 503U);
  EXPECT_EQ(ready.body_, "Waiting for drives: 1 of 3 answer, 2 are needed to start; missing: /d1, /d2.\n");
  const auto json = nlohmann::json::parse(ask(starting, "/health/cluster").body_);
  EXPECT_EQ(json["status"], "unavailable");
  EXPECT_EQ(json["missing"].size(), 2U);
  EXPECT_EQ(ask(starting, "/api/status").head_.status, 200U);
  drives_[0]->become(online_drive());
  drives_[1]->become(online_drive());
  EXPECT_EQ(ask(starting, "/health/ready").body_, "Starting.\n");
  starting.begin_serving(layout());
  EXPECT_EQ(ask(starting, "/health/ready").head_.status, 200U);
}

TEST_F(AdminServiceTest, ClusterHealthNamesWhatIsMissingAndWhy) {
  drives_[1]->become(fail(Errc::unavailable, "no answer \xff"));  // not UTF-8: must not break the JSON
  const KeptAnswer answer = get("/health/cluster");
  EXPECT_EQ(answer.head_.status, 200U);
  const auto json = nlohmann::json::parse(answer.body_);
  EXPECT_EQ(json["status"], "degraded");
  EXPECT_EQ(json["drives"], 3);
  EXPECT_EQ(json["drives_online"], 2);
  ASSERT_EQ(json["missing"].size(), 1U);
  EXPECT_EQ(json["missing"][0]["drive"], 1);
  EXPECT_EQ(json["missing"][0]["path"], "/d2");
  EXPECT_THAT(json["missing"][0]["problem"].get<std::string>(), HasSubstr("no answer"));
}

TEST_F(AdminServiceTest, StatusAddsUpDrivesAndRequests) {
  metrics_.counter("ostraka_s3_requests_total", "requests", {{"operation", "GetObject"}, {"status", "200"}})
      .add(5);
  metrics_.counter("ostraka_s3_requests_total", "requests", {{"operation", "GetObject"}, {"status", "503"}})
      .add(2);
  const KeptAnswer answer = get("/api/status?x=1");
  EXPECT_EQ(answer.head_.headers.get("content-type"), "application/json");
  const auto json = nlohmann::json::parse(answer.body_);
  EXPECT_EQ(json["status"], "degraded") << "keys wait to be healed";
  EXPECT_EQ(json["geometry"], "2+1");
  EXPECT_EQ(json["total_bytes"], 2000) << "two of the drives share a file system";
  EXPECT_EQ(json["free_bytes"], 1200);
  EXPECT_EQ(json["used_bytes"], 1200);
  EXPECT_EQ(json["heal_queue"], 3);
  EXPECT_EQ(json["requests_total"], 7);
  EXPECT_EQ(json["server_errors_total"], 2);
  EXPECT_GT(json["resident_bytes"], 1 << 20);
  EXPECT_EQ(json["drives"][2]["path"], "/d3");
}

TEST_F(AdminServiceTest, StatusTellsHowEachDriveIsDoing) {
  disk::DriveInfo good = online_drive();
  good.reads = {.calls = 10, .mean_us = 300, .p50_us = 200, .p99_us = 900};
  good.smart.emplace();
  good.smart->device = "/dev/sda";
  good.smart->temperature_celsius = 41;
  drives_[0]->become(good);
  disk::DriveInfo failing = online_drive();
  failing.online = false;
  failing.state = disk::DriveState::failing;
  failing.problem = "taken out of service";
  failing.recent_errors = 25;
  drives_[1]->become(failing);
  disk::DriveInfo away = online_drive();
  away.online = false;
  drives_[2]->become(away);
  const auto drives = nlohmann::json::parse(get("/api/status").body_)["drives"];
  EXPECT_EQ(drives[0]["state"], "ok");
  EXPECT_EQ(drives[0]["reads"]["p99_us"], 900);
  EXPECT_EQ(drives[0]["smart"]["temperature_celsius"], 41);
  EXPECT_TRUE(drives[0]["smart"]["passed"].is_null()) << "not known";
  EXPECT_EQ(drives[1]["state"], "failing");
  EXPECT_EQ(drives[1]["recent_errors"], 25);
  EXPECT_TRUE(drives[1]["smart"].is_null());
  EXPECT_EQ(drives[2]["state"], "away");
  const auto missing = nlohmann::json::parse(get("/health/cluster").body_)["missing"];
  ASSERT_EQ(missing.size(), 2U);
  EXPECT_EQ(missing[0]["state"], "failing");
}

TEST_F(AdminServiceTest, MetricsTellTheDrives) {
  const std::string text = get("/metrics").body_;
  EXPECT_THAT(text, HasSubstr("ostraka_drive_free_bytes{drive=\"1\"} 600"));
  EXPECT_THAT(text, HasSubstr("ostraka_drive_info{drive=\"2\",path=\"/d3\"} 1"));
  EXPECT_THAT(text, HasSubstr("process_resident_memory_bytes"));
}

TEST_F(AdminServiceTest, ThePageLoadsNothingFromElsewhere) {
  const KeptAnswer page = get("/");
  EXPECT_THAT(std::string(page.head_.headers.get("Content-Security-Policy")),
              HasSubstr("default-src 'none'"));
  EXPECT_THAT(page.body_, HasSubstr("<!doctype html>"));
  EXPECT_THAT(page.body_, Not(HasSubstr("http://")));
  EXPECT_THAT(page.body_, Not(HasSubstr("https://")));
}

TEST_F(AdminServiceTest, RefusesOtherPathsAndMethods) {
  EXPECT_EQ(get("/nothing").head_.status, 404U);
  const KeptAnswer answer = ask(*service_, "/", net::Method::post);
  EXPECT_EQ(answer.head_.status, 405U);
  EXPECT_EQ(answer.head_.headers.get("Allow"), "GET, HEAD");
}

TEST_F(AdminServiceTest, OnlyUnsignedProbesPassTheFrontDoor) {
  NamedService probes("probe"), s3("s3"), later("later");
  FrontService front(&probes, s3);
  const net::Headers signed_for_s3{{"Authorization", "AWS4-HMAC-SHA256 Credential=x"}};
  EXPECT_EQ(ask(front, "/health/live").body_, "probe");
  EXPECT_EQ(ask(front, "/metrics").body_, "probe");
  EXPECT_EQ(ask(front, "/metrics", net::Method::get, signed_for_s3).body_, "s3");
  EXPECT_EQ(ask(front, "/metrics", net::Method::head).body_, "s3");
  EXPECT_EQ(ask(front, "/metrics?list-type=2").body_, "s3");
  EXPECT_EQ(ask(front, "/metrics/").body_, "s3");
  EXPECT_EQ(ask(front, "/health").body_, "s3");
  EXPECT_EQ(ask(front, "/").body_, "s3");
  EXPECT_EQ(ask(front, "/api/status").body_, "s3");
  front.lead_to(later);
  EXPECT_EQ(ask(front, "/").body_, "later");
  FrontService without_probes(nullptr, s3);
  EXPECT_EQ(ask(without_probes, "/health/live").body_, "s3");
  EXPECT_EQ(ask(without_probes, "/metrics").body_, "s3");
}

TEST_F(AdminServiceTest, AnybodyIsToldNoFolder) {
  drives_[1]->become(fail(Errc::unavailable, "/d2: Permission denied"));
  ProbeService probes(*service_);
  for (const char* path : {"/health/live", "/health/ready", "/health/cluster", "/metrics"}) {
    const KeptAnswer answer = ask(probes, path);
    EXPECT_EQ(answer.head_.status, 200U) << path;
    for (const char* folder : {"/d1", "/d2", "/d3"})
      EXPECT_THAT(answer.body_, Not(HasSubstr(folder))) << path;
  }
  const auto json = nlohmann::json::parse(ask(probes, "/health/cluster").body_);
  EXPECT_EQ(json["missing"][0]["drive"], 1);
  EXPECT_EQ(json["missing"][0]["id"], to_string(DriveId{}));
  EXPECT_THAT(json["sentence"].get<std::string>(), HasSubstr("(drive 1)"));
  EXPECT_THAT(ask(probes, "/metrics").body_, HasSubstr("ostraka_drive_free_bytes{drive=\"2\"} 600"));
}

}  // namespace
}  // namespace ostraka::admin
