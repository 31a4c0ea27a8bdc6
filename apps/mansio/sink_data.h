// Takes the octets after DATA apart: doubled dots, the end, and what identifies a message. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace mansio::sink {

/// What is known of a message when its final dot has come.
struct Received {
  std::string token;           ///< of the load generator, or ""
  std::string subject;         ///< only of messages without token: first Subject field as it is
  std::uint64_t size = 0;      ///< octets, dots undoubled
  std::uint32_t checksum = 0;  ///< CRC32C from the token field on; without a token, over all
};

/// Feed it what the connection brings until finished().
class DataReader {
 public:
  /// Takes octets from the front of `input`, all that can be judged: at most 4 are left for the
  /// next call, or what follows the final dot.
  void feed(std::string_view& input);

  bool finished() const { return finished_; }

  const Received& received() const { return received_; }

 private:
  void add(std::string_view octets);
  void look_for_token();
  void end_header(std::size_t header_size);

  Received received_;
  std::string header_;  ///< as long as it has not been decided where the checksum starts
  bool in_header_ = true;
  bool line_start_ = true;  ///< a line begins with the next octet
  bool finished_ = false;
};

}  // namespace mansio::sink
