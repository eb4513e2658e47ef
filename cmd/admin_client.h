// AdminClient: the command line's side of the admin API of a running node (admin/API.md): signed requests,
// one at a time, JSON both ways.
#pragma once

#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "base/result.h"
#include "cmd/config.h"
#include "iam/credentials.h"
#include "net/address.h"
#include "net/http_client.h"
#include "runtime/clock.h"
#include "runtime/fs.h"
#include "runtime/shard.h"

namespace ostraka::cmd {

// Where the node is and who asks. From flags, or else from the environment.
struct AdminTarget {
  std::string url = "http://127.0.0.1:9001";  // of the console address: http(s)://host:port
  std::string region = "us-east-1";           // that the node signs with
  std::string ca_file;                        // PEM to trust; empty: the system's
  std::string access_key;
  iam::Secret secret{""};
};

// Belongs to one thread. Every call blocks until the answer is here.
class AdminClient {
 public:
  // Errors, for people: invalid_argument (the URL, no credential), those of reading the CA file.
  static Result<std::unique_ptr<AdminClient>> make(Fs& fs, Clock& clock, AdminTarget target);

  // target: path and query, percent-encoded. Errors, for people: unavailable (nobody answers there), and what
  // the node answered.
  Result<nlohmann::ordered_json> get(std::string_view target);
  Result<nlohmann::ordered_json> post(std::string_view target, const nlohmann::ordered_json& body);
  void pause(Duration duration);

 private:
  AdminClient(Clock& clock, AdminTarget target, net::HostPort peer,
              std::shared_ptr<net::TlsClientContext> tls);
  Result<nlohmann::ordered_json> call(std::string_view method, std::string_view target, std::string body);
  Task<Result<nlohmann::ordered_json>> exchange(net::ClientRequest request);

  Clock& clock_;
  const AdminTarget target_;
  const net::HostPort peer_;
  const bool tls_;
  Shard shard_;
  std::unique_ptr<net::HttpClient> http_;
};

}  // namespace ostraka::cmd
