# SPDX-License-Identifier: GPL-2.0-or-later
"""Certificates for talks; no talk is here."""


def certificate(s, name, rsa=False, ca=None):
    """A certificate for a host of that name and its key, in PEM; by itself or by the one of an earlier call. (certificate, key)."""
    kind = ['rsa:2048'] if rsa else ['ec', '-pkeyopt', 'ec_paramgen_curve:P-256']
    cert, key = s.path(name + '.pem'), s.path(name + '.key')
    subject = ['-subj', '/O=Lab/CN=' + name]
    if ca:
        s.run('openssl', 'req', '-newkey', *kind, '-nodes', '-keyout', key, '-out', cert + '.req', *subject)
        s.run('openssl', 'x509', '-req', '-in', cert + '.req', '-CA', ca[0], '-CAkey', ca[1], '-CAcreateserial', '-days', '30', '-out', cert)
    else:
        s.run('openssl', 'req', '-x509', '-newkey', *kind, '-nodes', '-keyout', key, '-out', cert, '-days', '30', *subject)
    s.run('chmod', '644', key)
    return cert, key
