// A load generator for one S3 server on this machine: signed requests over keep-alive connections, one
// blocking thread each. Prints the server's CPU seconds per GiB or per 1,000 operations (from /proc/PID/stat)
// beside the client's latencies and the server's memory.
//
// usage: load [--host ADDRESS] --port P --pid PID --op put|get|head|list|delete --size BYTES --count N
// --workers W [--bucket B] [--seconds-limit S] credentials: OSTRAKA_ROOT_USER, OSTRAKA_ROOT_PASSWORD
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/encoding.h"
#include "base/hash.h"

namespace {

using ostraka::digest;
using ostraka::DigestKind;
using ostraka::hex;
using ostraka::hmac_sha256;

struct Settings {
  std::string host = "127.0.0.1";  // an IPv4 address
  unsigned port = 9000;
  int pid = 0;
  std::string op = "put", bucket = "load", user, password;
  std::size_t size = 10U << 20, count = 200;
  unsigned workers = 8;
};

std::string_view view(const std::array<std::uint8_t, 32>& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// A keep-alive connection that signs each request in the header (AWS Signature Version 4).
class Connection {
 public:
  explicit Connection(const Settings& settings) : settings_(settings) { open(); }
  ~Connection() { close(fd_); }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // Gives the status; the response body goes into `body` when it is not null.
  int request(const std::string& method, const std::string& path, const std::string& query,
              std::string_view payload, std::string* body) {
    const auto now = std::chrono::duration_cast<std::chrono::milliseconds>(
                         std::chrono::system_clock::now().time_since_epoch())
                         .count();
    const std::string date = ostraka::amz_date(now), day = date.substr(0, 8);
    const std::string host = settings_.host + ":" + std::to_string(settings_.port);
    const std::string payload_hash = hex(digest(DigestKind::sha256, payload));
    const std::string canonical = method + "\n" + path + "\n" + query + "\nhost:" + host +
                                  "\nx-amz-content-sha256:" + payload_hash + "\nx-amz-date:" + date +
                                  "\n\nhost;x-amz-content-sha256;x-amz-date\n" + payload_hash;
    const std::string scope = day + "/us-east-1/s3/aws4_request";
    const std::string to_sign =
        "AWS4-HMAC-SHA256\n" + date + "\n" + scope + "\n" + hex(digest(DigestKind::sha256, canonical));
    auto key = hmac_sha256(ostraka::as_bytes("AWS4" + settings_.password), day);
    for (const char* step : {"us-east-1", "s3", "aws4_request"}) key = hmac_sha256(key, step);
    const std::string signature = hex(view(hmac_sha256(key, to_sign)));
    std::string head =
        method + " " + path + (query.empty() ? "" : "?" + query) + " HTTP/1.1\r\nHost: " + host +
        "\r\nx-amz-date: " + date + "\r\nx-amz-content-sha256: " + payload_hash +
        "\r\nAuthorization: AWS4-HMAC-SHA256 Credential=" + settings_.user + "/" + scope +
        ", SignedHeaders=host;x-amz-content-sha256;x-amz-date, Signature=" + signature + "\r\n";
    if (method == "PUT" || method == "POST")
      head += "Content-Length: " + std::to_string(payload.size()) + "\r\n";
    head += "\r\n";
    send_all(head);
    send_all(payload);
    return receive(method == "HEAD", body);
  }

 private:
  void open() {
    fd_ = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(settings_.port));
    if (inet_pton(AF_INET, settings_.host.c_str(), &address.sin_addr) != 1) fail("--host");
    if (connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) fail("connect");
    const int one = 1;
    setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  }
  [[noreturn]] static void fail(const char* what) {
    std::perror(what);
    std::exit(1);
  }
  void send_all(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t sent = send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) fail("send");
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
  }
  std::size_t fill(char* out, std::size_t room) {
    const ssize_t got = recv(fd_, out, room, 0);
    if (got <= 0) fail("recv");
    return static_cast<std::size_t>(got);
  }
  int receive(bool head_only, std::string* body) {
    std::size_t have = 0, end = std::string::npos;
    std::string head;
    while (end == std::string::npos) {
      have = fill(buffer_.data(), buffer_.size());
      head.append(buffer_.data(), have);
      end = head.find("\r\n\r\n");
    }
    const int status = std::atoi(head.c_str() + 9);
    std::size_t length = 0;
    const std::string lower = ostraka::to_lower(head.substr(0, end));
    if (const auto at = lower.find("content-length:"); at != std::string::npos)
      length = std::strtoull(lower.c_str() + at + 15, nullptr, 10);
    if (lower.find("transfer-encoding:") != std::string::npos)
      fail("chunked answers are not understood here");
    if (head_only) return status;
    std::size_t got = head.size() - end - 4;
    if (body != nullptr) body->assign(head, end + 4);
    while (got < length) {
      const std::size_t more = fill(buffer_.data(), std::min(buffer_.size(), length - got));
      if (body != nullptr) body->append(buffer_.data(), more);
      got += more;
    }
    return status;
  }

  const Settings& settings_;
  int fd_ = -1;
  std::vector<char> buffer_ = std::vector<char>(256U << 10);
};

double cpu_seconds(int pid) {
  std::ifstream in("/proc/" + std::to_string(pid) + "/stat");
  std::string text((std::istreambuf_iterator<char>(in)), {});
  const auto at = text.rfind(')');
  if (at == std::string::npos) return 0;
  unsigned long user = 0, system = 0;
  std::sscanf(text.c_str() + at + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &system);
  return static_cast<double>(user + system) / static_cast<double>(sysconf(_SC_CLK_TCK));
}

unsigned long memory_kib(int pid, const std::string& field) {
  std::ifstream in("/proc/" + std::to_string(pid) + "/status");
  for (std::string line; std::getline(in, line);)
    if (line.rfind(field, 0) == 0) return std::strtoul(line.c_str() + field.size(), nullptr, 10);
  return 0;
}

std::string key_path(const Settings& settings, std::size_t i) {
  char key[64];
  std::snprintf(key, sizeof key, "/k/%03zu/%08zu", i % 100, i);
  return "/" + settings.bucket + key;
}

// Lists the whole bucket; gives the number of keys.
std::size_t list_all(Connection& connection, const Settings& settings, std::atomic<std::size_t>& errors) {
  std::size_t keys = 0;
  std::string token;
  for (;;) {
    std::string body;
    const std::string query =
        (token.empty()
             ? ""
             : "continuation-token=" + ostraka::percent_encode(token, ostraka::Slash::encode) + "&") +
        "list-type=2";
    if (connection.request("GET", "/" + settings.bucket, query, "", &body) != 200) {
      ++errors;
      return keys;
    }
    for (std::size_t at = body.find("<Key>"); at != std::string::npos; at = body.find("<Key>", at + 5))
      ++keys;
    const auto open = body.find("<NextContinuationToken>");
    if (open == std::string::npos) return keys;
    const auto start = open + sizeof("<NextContinuationToken>") - 1;
    token = body.substr(start, body.find('<', start) - start);
  }
}

}  // namespace

int main(int argc, char** argv) {
  Settings settings;
  CLI::App app{"load generator"};
  app.add_option("--host", settings.host);
  app.add_option("--port", settings.port);
  app.add_option("--pid", settings.pid)->required();
  app.add_option("--op", settings.op)->check(CLI::IsMember({"put", "get", "head", "list", "delete"}));
  app.add_option("--size", settings.size);
  app.add_option("--count", settings.count);
  app.add_option("--workers", settings.workers);
  app.add_option("--bucket", settings.bucket);
  CLI11_PARSE(app, argc, argv);
  const char *user = std::getenv("OSTRAKA_ROOT_USER"), *password = std::getenv("OSTRAKA_ROOT_PASSWORD");
  if (user == nullptr || password == nullptr) {
    std::fprintf(stderr, "OSTRAKA_ROOT_USER and OSTRAKA_ROOT_PASSWORD must be set\n");
    return 2;
  }
  settings.user = user;
  settings.password = password;
  {
    Connection connection(settings);
    const int status = connection.request("PUT", "/" + settings.bucket, "", "", nullptr);
    if (status != 200 && status != 409) {
      std::fprintf(stderr, "CreateBucket answered %d\n", status);
      return 1;
    }
  }
  std::string payload(settings.size, '\0');
  for (std::size_t i = 0; i < payload.size(); ++i) payload[i] = static_cast<char>((i * 2654435761U) >> 13);

  std::atomic<std::size_t> next{0}, errors{0}, listed{0};
  std::vector<double> latencies;
  std::mutex mutex;
  const double cpu_before = cpu_seconds(settings.pid);
  const auto start = std::chrono::steady_clock::now();
  std::vector<std::thread> threads;
  for (unsigned w = 0; w < settings.workers; ++w) {
    threads.emplace_back([&] {
      Connection connection(settings);
      std::vector<double> mine;
      for (std::size_t i = next++; i < settings.count; i = next++) {
        const auto begin = std::chrono::steady_clock::now();
        int status = 200;
        if (settings.op == "put")
          status = connection.request("PUT", key_path(settings, i), "", payload, nullptr);
        else if (settings.op == "get")
          status = connection.request("GET", key_path(settings, i), "", "", nullptr);
        else if (settings.op == "head")
          status = connection.request("HEAD", key_path(settings, i), "", "", nullptr);
        else if (settings.op == "delete")
          status = connection.request("DELETE", key_path(settings, i), "", "", nullptr);
        else
          listed += list_all(connection, settings, errors);
        if (status != 200 && status != 204) ++errors;
        mine.push_back(
            std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count());
      }
      const std::scoped_lock lock(mutex);
      latencies.insert(latencies.end(), mine.begin(), mine.end());
    });
  }
  for (auto& thread : threads) thread.join();
  const double wall = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  const double cpu = cpu_seconds(settings.pid) - cpu_before;
  std::sort(latencies.begin(), latencies.end());
  const auto percentile = [&](double p) {
    return latencies.empty()
               ? 0.0
               : latencies[static_cast<std::size_t>(p * static_cast<double>(latencies.size() - 1))];
  };
  const bool bulk = settings.size >= (1U << 20) && (settings.op == "put" || settings.op == "get");
  const double amount =
      bulk ? static_cast<double>(settings.size) * static_cast<double>(settings.count) / (1U << 30)
      : settings.op == "list" ? static_cast<double>(listed) / 100000.0
                              : static_cast<double>(settings.count) / 1000.0;
  const char* unit = bulk ? "s/GiB" : settings.op == "list" ? "s/100k-keys" : "s/1000";
  std::printf(
      "%s %.4f %s rate %.1f/s p50 %.2f ms p99 %.2f ms errors %zu rss %lu MiB peak %lu MiB\n",
      settings.op.c_str(), cpu / amount, unit,
      settings.op == "list" ? static_cast<double>(listed) / wall : static_cast<double>(settings.count) / wall,
      percentile(0.5), percentile(0.99), errors.load(), memory_kib(settings.pid, "VmRSS:") / 1024,
      memory_kib(settings.pid, "VmHWM:") / 1024);
  return errors == 0 ? 0 : 1;
}
