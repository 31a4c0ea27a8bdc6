// A network in memory: named endpoints that listen, refuse or swallow connections.
// Thread safety: none; all on one thread.
#pragma once

#include <map>
#include <memory>
#include <vector>

#include "base/stream.h"
#include "testing/memory_stream.h"

namespace mansio::fake {

class MemoryNetwork final : public Connector {
 public:
  /// `clock` must outlive the network and its streams.
  explicit MemoryNetwork(Clock& clock);

  /// One listener per endpoint at a time. Throws std::system_error (EADDRINUSE).
  std::unique_ptr<Listener> listen(boost::asio::any_io_executor executor, Endpoint endpoint);

  /// connection_refused where nobody listens.
  Task<Result<std::unique_ptr<Stream>>> connect(Endpoint peer, std::string source,
                                                SteadyTime deadline) override;

  /// Connections to it hang until their deadline. refuse() and accept() undo it.
  void black_hole(const Endpoint& endpoint) { behaviour_[endpoint] = Behaviour::black_hole; }

  /// Connections to it are refused although somebody listens.
  void refuse(const Endpoint& endpoint) { behaviour_[endpoint] = Behaviour::refuse; }

  void accept(const Endpoint& endpoint) { behaviour_.erase(endpoint); }

  /// For connections made from now on.
  void set_read_chunk(std::size_t octets) { read_chunk_ = octets; }

  void set_capacity(std::size_t octets) { capacity_ = octets; }

  struct Attempt {
    Endpoint peer;
    std::string source;
  };

  /// All calls of connect(), in order.
  const std::vector<Attempt>& attempts() const { return attempts_; }

 private:
  enum class Behaviour { refuse, black_hole };
  struct Backlog;
  class MemoryListener;

  Clock& clock_;
  std::map<Endpoint, std::weak_ptr<Backlog>> listeners_;
  std::map<Endpoint, Behaviour> behaviour_;
  std::vector<Attempt> attempts_;
  std::size_t read_chunk_ = 0;
  std::size_t capacity_ = 1u << 20;
  std::uint16_t next_port_ = 40000;
};

}  // namespace mansio::fake
