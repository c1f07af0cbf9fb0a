# SPDX-License-Identifier: GPL-2.0-or-later
"""FastCGI between nginx and php-cgi; AJP between apache and tomcat."""
from stage import SERVER, talk


@talk(app='fastcgi', port=9000, needs=['php-cgi', 'nginx', 'curl'], facts=[
    ('fastcgi', {'method': 'GET', 'uri': '/order.php?id=7', 'host': 'shop.example', 'script': ..., 'app_status': 0}),
    ('fastcgi', {'method': 'POST', 'uri': '/order.php', 'script': ...}),
    ('fastcgi', {'method': 'GET', 'uri': '/nowhere.php'}),
])
def fastcgi_php(s):
    s.file('www/order.php', '<?php header("X-Shop: 4"); echo "order ", $_REQUEST["id"] ?? "none", "\\n";\n')
    s.start('php-cgi', '-b', '0.0.0.0:9000', env={'PHP_FCGI_CHILDREN': '0'})
    s.listening(9000)
    tmp = ' '.join('%s_temp_path %s;' % (k, s.directory('tmp-' + k)) for k in ('client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'))
    conf = s.file('nginx.conf', '''daemon off; master_process off; user root; pid %s; error_log stderr crit;
events { worker_connections 64; }
http { access_log off; %s
  server { listen 127.0.0.1:8080; location / { include /etc/nginx/fastcgi_params; fastcgi_param SCRIPT_FILENAME %s$fastcgi_script_name; fastcgi_param HTTP_HOST $host;
    fastcgi_pass %s:9000; } } }
''' % (s.path('nginx.pid'), tmp, s.path('www'), SERVER))
    s.start('nginx', '-c', conf, '-e', 'stderr', on='client')
    with s.capture():
        say = ['curl', '-s', '--retry', '5', '--retry-connrefused', '--retry-delay', '1', '-H', 'Host: shop.example']
        assert 'order 7' in s.say(*say, 'http://127.0.0.1:8080/order.php?id=7')
        assert 'order 8' in s.say(*say, '-d', 'id=8', 'http://127.0.0.1:8080/order.php')
        s.say(*say, 'http://127.0.0.1:8080/nowhere.php')


@talk(app='ajp', port=8009, needs=['/usr/share/tomcat10/bin/bootstrap.jar', 'java', 'apache2', '/usr/lib/apache2/modules/mod_proxy_ajp.so', 'curl'], facts=[
    ('ajp', {'method': 'GET', 'uri': '/order.txt', 'host': 'shop.example', 'status': 200}),
    ('ajp', {'method': 'POST', 'uri': '/order.txt', 'host': 'shop.example'}),
    ('ajp', {'method': 'GET', 'uri': '/nowhere', 'status': 404}),
])
def ajp_tomcat(s):
    s.file('base/webapps/ROOT/order.txt', 'order 7\n')
    for d in ('logs', 'temp', 'work'):
        s.directory('base/' + d)
    s.file('base/conf/server.xml', '''<Server port="-1"><Service name="Catalina">
<Connector protocol="AJP/1.3" address="0.0.0.0" port="8009" secretRequired="false"/>
<Engine name="Catalina" defaultHost="localhost"><Host name="localhost" appBase="webapps"/></Engine></Service></Server>
''')
    s.file('base/conf/web.xml', '''<web-app xmlns="https://jakarta.ee/xml/ns/jakartaee" version="5.0">
<servlet><servlet-name>default</servlet-name><servlet-class>org.apache.catalina.servlets.DefaultServlet</servlet-class></servlet>
<servlet-mapping><servlet-name>default</servlet-name><url-pattern>/</url-pattern></servlet-mapping></web-app>
''')
    s.start('java', '-Xmx128m', '-XX:TieredStopAtLevel=1', '-cp', '/usr/share/tomcat10/bin/bootstrap.jar:/usr/share/java/tomcat10-juli.jar:/usr/share/tomcat10/bin/tomcat-juli.jar',
            '-Dcatalina.home=/usr/share/tomcat10', '-Dcatalina.base=' + s.path('base'), '-Djava.io.tmpdir=' + s.path('base/temp'), 'org.apache.catalina.startup.Bootstrap', 'start')
    s.listening(8009, seconds=90)
    mods = ''.join('LoadModule %s_module /usr/lib/apache2/modules/mod_%s.so\n' % (m, m) for m in ('mpm_event', 'authz_core', 'proxy', 'proxy_ajp'))
    conf = s.file('apache.conf', 'ServerRoot %s\nServerName till\nPidFile %s\nErrorLog /dev/stderr\nListen 127.0.0.1:8080\nUser nobody\nGroup nogroup\n%sProxyPreserveHost On\nProxyPass / ajp://%s:8009/\n' %
                  (s.dir, s.path('apache.pid'), mods, SERVER))
    s.start('apache2', '-X', '-f', conf, on='client')
    with s.capture():
        say = ['curl', '-s', '--retry', '5', '--retry-connrefused', '--retry-delay', '1', '-H', 'Host: shop.example']
        assert 'order 7' in s.say(*say, 'http://127.0.0.1:8080/order.txt?id=7')
        s.say(*say, '-d', 'id=8', 'http://127.0.0.1:8080/order.txt')
        s.say(*say, 'http://127.0.0.1:8080/nowhere')


@talk(app='http', port=8080, needs=['nginx', 'curl', 'haproxy'], facts=[
    ('proxy-protocol', {'version': 1, 'source': '127.0.0.1', 'target': '127.0.0.1', 'target_port': 8001}),
    ('http', {'url': '/', 'status': 200}),
    ('proxy-protocol', {'version': 2, 'source': '127.0.0.1', 'target': '127.0.0.1', 'target_port': 8002}),
    ('http', {'url': '/', 'status': 200}),
])
def http_behind_haproxy(s):
    """nginx behind haproxy, which says who came: in text and in binary."""
    s.file('www/index.html', 'hello\n')
    tmp = ' '.join('%s_temp_path %s;' % (k, s.directory('tmp-' + k)) for k in ('client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'))
    conf = s.file('nginx.conf', '''daemon off; master_process off; user root; pid %s; error_log stderr crit;
events { worker_connections 64; }
http { access_log off; %s server { listen 8080 proxy_protocol; root %s; } }
''' % (s.path('nginx.pid'), tmp, s.path('www')))
    s.start('nginx', '-c', conf, '-e', 'stderr')
    s.listening(8080)
    conf = s.file('haproxy.cfg', '''defaults
  mode tcp
  timeout connect 5s
  timeout client 5s
  timeout server 5s
listen text
  bind 127.0.0.1:8001
  server a %s:8080 send-proxy
listen binary
  bind 127.0.0.1:8002
  server a %s:8080 send-proxy-v2
''' % (SERVER, SERVER))
    s.start('haproxy', '-db', '-f', conf, on='client')
    with s.capture():
        for port in (8001, 8002):
            s.say('curl', '-s', '--retry', '5', '--retry-connrefused', '--retry-delay', '1', 'http://127.0.0.1:%d/' % port)
