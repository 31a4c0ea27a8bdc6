// A self-signed certificate for tests, as PEM files in a directory of its own.
#pragma once

#include <string>

namespace mansio::net {

class TestCertificate {
 public:
  /// For the DNS name and 127.0.0.1.
  explicit TestCertificate(const std::string& name);
  ~TestCertificate();
  TestCertificate(const TestCertificate&) = delete;
  TestCertificate& operator=(const TestCertificate&) = delete;

  const std::string& certificate() const { return certificate_; }

  const std::string& key() const { return key_; }

 private:
  std::string directory_;
  std::string certificate_;
  std::string key_;
};

}  // namespace mansio::net
