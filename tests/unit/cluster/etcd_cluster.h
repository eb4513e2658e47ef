// Real etcd members as processes of the test, in a temporary folder and on free ports. They end with the
// test.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "cluster/etcd_client.h"
#include "runtime/clock.h"
#include "runtime/task.h"

namespace ostraka::cluster {

// Whether that comes about within ten seconds.
Task<bool> reaches(Clock* clock, std::function<bool()> reached);

class EtcdCluster {
 public:
  // Starts them; the test fails when there is no etcd to start.
  explicit EtcdCluster(std::size_t members);
  // One member that speaks TLS, and with nobody whose certificate is not of the authority (PEM).
  EtcdCluster(const std::string& authority, const std::string& certificate, const std::string& key,
              std::shared_ptr<net::TlsClientContext> client);
  EtcdCluster(const EtcdCluster&) = delete;
  EtcdCluster& operator=(const EtcdCluster&) = delete;
  ~EtcdCluster();

  void start(std::size_t member);
  void kill(std::size_t member);   // -9
  void pause(std::size_t member);  // SIGSTOP
  void go_on(std::size_t member);  // SIGCONT
  void wipe(std::size_t member);   // of a killed one: its data
  EtcdConfig config() const;       // with all members
  EtcdConfig config(std::size_t member) const;
  std::uint16_t port(std::size_t member) const { return members_[member].client_port; }
  std::size_t size() const noexcept { return members_.size(); }
  // Until the cluster takes changes.
  bool wait_ready();
  std::size_t leader();  // size() when there is none

 private:
  struct Member {
    std::uint16_t client_port = 0, peer_port = 0;
    pid_t process = 0;
  };
  void begin();
  std::string url(std::uint16_t port) const;
  std::string folder_;
  std::shared_ptr<net::TlsClientContext> tls_;
  std::vector<Member> members_;
};

}  // namespace ostraka::cluster
