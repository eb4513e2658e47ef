#include "etcd_cluster.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "runtime/random.h"

namespace ostraka::cluster {

namespace {

std::vector<std::uint16_t> free_ports(std::size_t count) {
  std::vector<int> sockets;
  std::vector<std::uint16_t> ports;
  for (std::size_t i = 0; i < count; ++i) {
    const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    ::bind(fd, reinterpret_cast<const sockaddr*>(&address), size);
    ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
    sockets.push_back(fd);
    ports.push_back(ntohs(address.sin_port));
  }
  for (const int fd : sockets) ::close(fd);
  return ports;
}

std::string peer_url(std::uint16_t port) {
  return "http://127.0.0.1:" + std::to_string(port);
}

// In memory where there is some: what is tested here is not how fast a disk is.
std::string new_folder() {
  SystemRandom random;
  const std::filesystem::path root =
      std::filesystem::is_directory("/dev/shm") ? "/dev/shm" : std::filesystem::temp_directory_path();
  const auto folder = root / ("ostraka-etcd-" + to_string(make_uuid(random)));
  std::filesystem::create_directories(folder);
  return folder;
}

Task<bool> takes_changes(EtcdClient* client, Clock* clock) {
  const TimePoint give_up = clock->now() + std::chrono::seconds(20);
  while (clock->now() < give_up) {
    EtcdTxnSpec spec;
    EtcdPut put;
    put.key = "ready";
    spec.puts.push_back(std::move(put));
    const auto done = co_await client->txn(std::move(spec), give_up);
    if (done) co_return true;
    co_await sleep_for(*clock, std::chrono::milliseconds(10));
  }
  co_return false;
}

}  // namespace

Task<bool> reaches(Clock* clock, std::function<bool()> reached) {
  const TimePoint give_up = clock->now() + std::chrono::seconds(10);
  while (!reached()) {
    if (clock->now() >= give_up) co_return false;
    co_await sleep_for(*clock, std::chrono::milliseconds(1));
  }
  co_return true;
}

EtcdCluster::EtcdCluster(std::size_t members) : folder_(new_folder()), members_(members) {
  begin();
}

EtcdCluster::EtcdCluster(const std::string& authority, const std::string& certificate, const std::string& key,
                         std::shared_ptr<net::TlsClientContext> client)
    : folder_(new_folder()), tls_(std::move(client)), members_(1) {
  std::ofstream(folder_ + "/ca.crt") << authority;
  std::ofstream(folder_ + "/etcd.crt") << certificate;
  std::ofstream(folder_ + "/etcd.key") << key;
  begin();
}

void EtcdCluster::begin() {
  const std::vector<std::uint16_t> ports = free_ports(2 * members_.size());
  for (std::size_t i = 0; i < members_.size(); ++i) {
    members_[i].client_port = ports[2 * i];
    members_[i].peer_port = ports[2 * i + 1];
  }
  if (std::system("command -v etcd >/dev/null") != 0) {
    ADD_FAILURE() << "there is no etcd to test with: apt-get install etcd-server";
    return;
  }
  for (std::size_t i = 0; i < members_.size(); ++i) start(i);
  EXPECT_TRUE(wait_ready()) << "etcd did not start, see " << folder_;
}

std::string EtcdCluster::url(std::uint16_t port) const {
  return (tls_ ? "https://127.0.0.1:" : "http://127.0.0.1:") + std::to_string(port);
}

EtcdCluster::~EtcdCluster() {
  for (std::size_t i = 0; i < members_.size(); ++i) kill(i);
  if (!testing::Test::HasFailure()) std::filesystem::remove_all(folder_);
}

void EtcdCluster::start(std::size_t member) {
  Member& m = members_[member];
  const std::string name = "m" + std::to_string(member);
  std::string all;
  for (std::size_t i = 0; i < members_.size(); ++i)
    all += (i == 0 ? "m" : ",m") + std::to_string(i) + "=" + peer_url(members_[i].peer_port);
  const std::string log = folder_ + "/" + name + ".log";
  std::vector<std::string> words{"etcd",
                                 "--name=" + name,
                                 "--data-dir=" + folder_ + "/" + name,
                                 "--listen-client-urls=" + url(m.client_port),
                                 "--advertise-client-urls=" + url(m.client_port),
                                 "--listen-peer-urls=" + peer_url(m.peer_port),
                                 "--initial-advertise-peer-urls=" + peer_url(m.peer_port),
                                 "--initial-cluster=" + all,
                                 "--heartbeat-interval=20",
                                 "--election-timeout=200",
                                 "--logger=zap",
                                 "--log-outputs=" + log};
  if (tls_) {
    for (const char* option :
         {"--cert-file=/etcd.crt", "--key-file=/etcd.key", "--trusted-ca-file=/ca.crt"}) {
      std::string word = option;
      words.push_back(word.insert(word.find('=') + 1, folder_));
    }
    words.push_back("--client-cert-auth");
  }
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  m.process = ::fork();
  if (m.process == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    ::execvp("etcd", arguments.data());
    ::_exit(127);
  }
}

void EtcdCluster::kill(std::size_t member) {
  pid_t& process = members_[member].process;
  if (process <= 0) return;
  ::kill(process, SIGKILL);
  ::waitpid(process, nullptr, 0);
  process = 0;
}

void EtcdCluster::pause(std::size_t member) {
  ::kill(members_[member].process, SIGSTOP);
}

void EtcdCluster::go_on(std::size_t member) {
  ::kill(members_[member].process, SIGCONT);
}

void EtcdCluster::wipe(std::size_t member) {
  std::filesystem::remove_all(folder_ + "/m" + std::to_string(member));
}

EtcdConfig EtcdCluster::config(std::size_t member) const {
  EtcdConfig out;
  out.tls = tls_;
  out.endpoints.push_back({"127.0.0.1", members_[member].client_port});
  return out;
}

EtcdConfig EtcdCluster::config() const {
  EtcdConfig out;
  out.tls = tls_;
  for (const Member& member : members_) out.endpoints.push_back({"127.0.0.1", member.client_port});
  return out;
}

bool EtcdCluster::wait_ready() {
  SystemClock clock;
  Shard shard(0, clock, ShardSpec{.slab_bytes = 4096, .max_slabs = 1, .keep_slabs = 0});
  EtcdClient client(shard, config());
  return run_to_end(shard, takes_changes(&client, &clock));
}

std::size_t EtcdCluster::leader() {
  SystemClock clock;
  Shard shard(0, clock, ShardSpec{.slab_bytes = 4096, .max_slabs = 1, .keep_slabs = 0});
  for (std::size_t i = 0; i < members_.size(); ++i) {
    if (members_[i].process <= 0) continue;
    EtcdClient client(shard, config(i));
    const auto status = run_to_end(shard, client.status(clock.now() + std::chrono::seconds(2)));
    if (status && status->leads) return i;
  }
  return members_.size();
}

}  // namespace ostraka::cluster
