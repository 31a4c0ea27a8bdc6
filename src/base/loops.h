// Event loops: one thread each. State is confined to a loop; loops exchange vectors.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <memory>
#include <vector>

namespace mansio {

/// Thread safety: start() and stop() from the owner, the rest from any thread after construction.
class Loops {
 public:
  explicit Loops(std::size_t count);
  ~Loops();  ///< stops and joins
  void start();
  /// Ends the loops after the handlers that run now; joins the threads. Idempotent.
  void stop();
  std::size_t size() const;
  boost::asio::any_io_executor at(std::size_t index);
  std::vector<boost::asio::any_io_executor> all();

 private:
  struct Loop;
  std::vector<std::unique_ptr<Loop>> loops_;
};

}  // namespace mansio
