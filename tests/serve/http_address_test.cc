#include "serve/http_address.h"

#include <gmock/gmock.h>

namespace ondine::serve {
namespace {

TEST(HttpAddress, IsTakenApart) {
  struct Case {
    const char* url;
    bool encrypted;
    const char* host;
    int port;
    const char* path;
    const char* shown;
  };
  for (const Case& expected : {
           Case{"http://127.0.0.1:8080/v1", false, "127.0.0.1", 8080, "/v1",
                "http://127.0.0.1:8080/v1"},
           Case{"https://api.example.com/v1/", true, "api.example.com", 443, "/v1",
                "https://api.example.com/v1"},
           Case{"http://host", false, "host", 80, "", "http://host"},
           Case{"http://[::1]:1/a/b//", false, "::1", 1, "/a/b", "http://[::1]:1/a/b"},
           Case{"https://[fe80::1]", true, "fe80::1", 443, "", "https://[fe80::1]"},
       }) {
    const auto address = ParseHttpAddress(expected.url);
    ASSERT_TRUE(address) << address.error().ToString();
    EXPECT_EQ(address->encrypted, expected.encrypted);
    EXPECT_EQ(address->host, expected.host);
    EXPECT_EQ(address->port, expected.port);
    EXPECT_EQ(address->path, expected.path);
    EXPECT_EQ(address->ToString(), expected.shown);
  }
}

TEST(HttpAddress, WhatIsNoneIsRefused) {
  for (const char* url : {"",
                          "host:80",
                          "ftp://host",
                          "http://",
                          "http:///v1",
                          "http://:80",
                          "http://host:",
                          "http://host:0",
                          "http://host:65536",
                          "http://host:80x",
                          "http://host:-1",
                          "http://user:secret@host/",
                          "http://host/v1?key=secret",
                          "http://host/#a",
                          "http://ho st",
                          "http://host\r\nX: y",
                          "http://h\xc3\xb6st",
                          "http://[::1",
                          "http://[::1]80",
                          "http://[[]",
                          "http://a]b"}) {
    const auto address = ParseHttpAddress(url);
    ASSERT_FALSE(address) << url;
    EXPECT_EQ(address.error().code, ErrorCode::kInvalidArgument);
  }
}

}  // namespace
}  // namespace ondine::serve
