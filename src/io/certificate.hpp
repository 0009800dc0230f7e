// SPDX-License-Identifier: Apache-2.0
//
// Whom an X.509 certificate names, by the rules of SIP (RFC 5922), and why one is not accepted, in
// words for a person. Reads certificates of strangers: what is not a plain name in them counts for
// nothing and reaches no log. Chains are OpenSSL's to verify; which peers need a certificate is
// decided in io/tls.hpp.
#pragma once

#include <string>
#include <string_view>
#include <vector>

// OpenSSL's X509 and X509_STORE_CTX, without its headers.
struct x509_st;
struct x509_store_ctx_st;

namespace godwit::io {

/// The subject as RFC 4514 text ("CN=sip.example.com,O=Example"), at most 256 characters, without
/// control characters; "(no name)" for an empty one.
std::string subject_of(const x509_st& certificate);

/// RFC 5922 §7.1: the SIP domain identities of a certificate, in lower case, at most 64.
std::vector<std::string> sip_identities(const x509_st& certificate);

/// Empty if the certificate is good for `server_name` (a SIP domain, host name or address literal),
/// else the reason: the names that it has instead.
std::string name_mismatch(const x509_st& certificate, std::string_view server_name);

/// Why OpenSSL refused a chain, after X509_verify_cert() failed.
std::string chain_problem(const x509_store_ctx_st& store);

}  // namespace godwit::io
