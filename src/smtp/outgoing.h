// Octets that leave together: long runs stay where they are, short ones are copied together, so
// that content in memory is not copied once more for each host that gets it. Pure.
#pragma once

#include <boost/asio/buffer.hpp>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace mansio::smtp {

class Outgoing {
 public:
  /// `refers`: what refer() is given lasts; else everything is copied.
  explicit Outgoing(bool refers) : refers_(refers) {}

  /// Always copies.
  void copy(std::string_view octets);
  /// Octets that last until what is here was written. Copies short runs.
  void refer(std::string_view octets);

  std::size_t size() const { return size_; }

  /// Valid until the next change.
  std::vector<boost::asio::const_buffer> buffers() const;
  /// All of it, in one piece.
  std::string to_string() const;

  void clear();

  /// Room for so many octets that are copied.
  void reserve(std::size_t octets) { copied_.reserve(octets); }

 private:
  /// A run elsewhere, or, without `elsewhere`, the next `size` octets of what was copied.
  struct Run {
    const char* elsewhere = nullptr;
    std::size_t size = 0;
  };

  bool refers_;
  std::string copied_;
  std::vector<Run> runs_;
  std::size_t size_ = 0;
};

}  // namespace mansio::smtp
