"""What Flask-SQLAlchemy does with pool_pre_ping, on threads. Says on standard output where it listens."""

import sys

from flask import Flask, request
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import text
from werkzeug.serving import make_server

app = Flask(__name__)
app.config["SQLALCHEMY_DATABASE_URI"] = sys.argv[1].replace("postgres://", "postgresql+psycopg2://")
app.config["SQLALCHEMY_ENGINE_OPTIONS"] = {"pool_size": 15, "max_overflow": 0, "pool_pre_ping": True}
db = SQLAlchemy(app)


@app.get("/note")
def read():
    query = text("select count(*) from note where id = :id")
    return {"count": db.session.execute(query, {"id": int(request.args["id"])}).scalar()}


@app.post("/note")
def write():
    db.session.execute(text("insert into note values (:id)"), {"id": int(request.args["id"])})
    db.session.commit()
    return {}


server = make_server("127.0.0.1", 0, app, threaded=True)
print(server.server_port, flush=True)
server.serve_forever()
